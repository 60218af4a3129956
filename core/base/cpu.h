#pragma once

#include <string>

namespace apprentice {

/// Instruction sets of the CPU at hand that our kernels ask for; those of another architecture are
/// false.
struct CpuFeatures {
  bool avx2 = false;         ///< AVX2 and FMA
  bool avx_vnni = false;     ///< AVX2 with VNNI, 256 bits wide
  bool avx512 = false;       ///< AVX-512 F, BW, DQ, VL
  bool avx512_vnni = false;  ///< the same with VNNI
  bool neon_dot = false;     ///< Armv8.2's dot product
};
const CpuFeatures& cpu_features();
/// The processor's own name, as the system tells it.
std::string cpu_name();

}  // namespace apprentice
