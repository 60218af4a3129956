#pragma once

#include <string>

namespace apprentice {

/// Instruction sets of the CPU at hand that our kernels ask for; all false away from x86-64.
struct CpuFeatures {
  bool avx2 = false;         ///< AVX2 and FMA
  bool avx_vnni = false;     ///< AVX2 with VNNI, 256 bits wide
  bool avx512 = false;       ///< AVX-512 F, BW, DQ, VL
  bool avx512_vnni = false;  ///< the same with VNNI
};
const CpuFeatures& cpu_features();
/// The processor's own name, as the system tells it.
std::string cpu_name();

}  // namespace apprentice
