#pragma once

#include <cstdint>

// What a *_simd.cpp shares with the file that registers it: a struct of functions on raw pointers,
// one instance for each instruction set. A *_simd.cpp includes nothing else of ours: an inline
// function emitted there would be compiled for its instruction set and could be the copy that the
// linker keeps for everybody.
#if APPRENTICE_X86
#define APPRENTICE_SIMD_TABLE(Table, table) \
  namespace baseline {                      \
  extern const Table table;                 \
  }                                         \
  namespace avx2 {                          \
  extern const Table table;                 \
  }                                         \
  namespace avx512 {                        \
  extern const Table table;                 \
  }
#else
#define APPRENTICE_SIMD_TABLE(Table, table) \
  namespace baseline {                      \
  extern const Table table;                 \
  }
#endif
