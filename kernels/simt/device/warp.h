#pragma once

#include <apprentice/kernels/simt/device/base.h>

namespace apprentice::simt {
inline namespace api_dev {

// Shuffles: a lane whose source falls outside its segment of `width` lanes keeps its own value.
template <class T>
SIMT_FN T shfl(T v, int source, int width = 32, uint32_t mask = full_mask) {
  return __shfl_sync(mask, v, source, width);
}
template <class T>
SIMT_FN T shfl_xor(T v, int lanes, int width = 32, uint32_t mask = full_mask) {
  return __shfl_xor_sync(mask, v, lanes, width);
}
template <class T>
SIMT_FN T shfl_up(T v, unsigned by, int width = 32, uint32_t mask = full_mask) {
  return __shfl_up_sync(mask, v, by, width);
}
template <class T>
SIMT_FN T shfl_down(T v, unsigned by, int width = 32, uint32_t mask = full_mask) {
  return __shfl_down_sync(mask, v, by, width);
}

SIMT_FN uint32_t ballot(bool p, uint32_t mask = full_mask) { return __ballot_sync(mask, p); }
SIMT_FN bool any(bool p, uint32_t mask = full_mask) { return __any_sync(mask, p); }
SIMT_FN bool all(bool p, uint32_t mask = full_mask) { return __all_sync(mask, p); }
SIMT_FN int reduce_add(int v, uint32_t mask = full_mask) { return __reduce_add_sync(mask, v); }
SIMT_FN int reduce_max(int v, uint32_t mask = full_mask) { return __reduce_max_sync(mask, v); }
SIMT_FN int reduce_min(int v, uint32_t mask = full_mask) { return __reduce_min_sync(mask, v); }

}  // namespace api_dev
}  // namespace apprentice::simt
