#pragma once

#include <apprentice/kernels/simt/emulated/base.h>
#include <apprentice/kernels/simt/tensor_map_spec.h>

namespace apprentice::simt {

namespace emu {
struct TensorMap {
  TensorMapSpec spec;
  const void* base;
};
/// Throws Fault for what the driver would refuse.
TensorMap make_tensor_map(const TensorMapSpec& spec, const void* base);
void tensor_copy(void* to, const TensorMap& map, const int* at, int rank, uint64_t* barrier,
                 const Site& site);
void tensor_copy_im2col(void* to, const TensorMap& map, const int (&at)[4], const int (&tap)[2],
                        uint64_t* barrier, const Site& site);
}  // namespace emu

inline namespace api_emu {

using emu::TensorMap;

inline TensorMap make_tensor_map(const TensorMapSpec& spec, const void* base) {
  return emu::make_tensor_map(spec, base);
}
template <int Rank>
void tensor_copy(void* to, const TensorMap& map, const int (&at)[Rank], uint64_t* barrier,
                 SIMT_SITE) {
  static_assert(Rank >= 1 && Rank <= 5);
  emu::tensor_copy(to, map, at, Rank, barrier, site);
}
inline void tensor_copy_im2col(void* to, const TensorMap& map, const int (&at)[4], uint16_t tap_w,
                               uint16_t tap_h, uint64_t* barrier, SIMT_SITE) {
  emu::tensor_copy_im2col(to, map, at, {tap_w, tap_h}, barrier, site);
}

}  // namespace api_emu
}  // namespace apprentice::simt
