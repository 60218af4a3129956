#pragma once

/// Opens the registration of the one thing that a file adds: `APPRENTICE_UNIT(x) { table.add(...); }`
/// in x.cpp. CMake generates the call, by the file's stem, so a file without it does not link.
#define APPRENTICE_UNIT(stem)     \
  void apprentice_unit_##stem();  \
  void apprentice_unit_##stem()
