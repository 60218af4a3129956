#pragma once

#define APPRENTICE_UNIT_JOIN(target, stem) apprentice_unit_##target##_##stem
#define APPRENTICE_UNIT_NAME(target, stem) APPRENTICE_UNIT_JOIN(target, stem)

/// Opens the registration of the one thing that a file adds: `APPRENTICE_UNIT(x) { table.add(...);
/// }` in x.cpp. CMake generates the call, by target and the file's stem, so a file without it does
/// not link, and files of two targets may have one name.
#define APPRENTICE_UNIT(stem)                           \
  void APPRENTICE_UNIT_NAME(APPRENTICE_TARGET, stem)(); \
  void APPRENTICE_UNIT_NAME(APPRENTICE_TARGET, stem)()
