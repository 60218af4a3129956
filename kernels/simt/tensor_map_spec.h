#pragma once

#include <cstdint>

#include <apprentice/kernels/simt/types.h>

namespace apprentice::simt {

/// What a tensor map is made of: how the copy engine of sm_90 moves a box of a tensor in global
/// memory to shared memory. Axes are given fastest first, and strides[0] is the element itself. The
/// elements of the box lie in shared memory packed, fastest axis first, their 16-byte chunks
/// permuted by `swizzle`; those outside of the tensor are 0 and count as bytes too. Limits (CUDA
/// driver API, cuTensorMapEncodeTiled, cuTensorMapEncodeIm2col): memory and strides are multiples
/// of 16 bytes, a box has up to 256 elements an axis, the first axis of what is copied is a
/// multiple of 16 bytes and fits the span of the swizzle (32, 64 or 128 bytes), steps are 1 to 8.
struct TensorMapSpec {
  int rank = 2;           ///< 1 to 5; im2col: 4, axes c, w, h, n
  int element_bytes = 1;  ///< 1, 2 or 4
  uint64_t sizes[5] = {1, 1, 1, 1, 1};
  uint64_t strides[5] = {};             ///< bytes between neighbours
  uint32_t steps[5] = {1, 1, 1, 1, 1};  ///< every how many-th element is taken; first axis: 1
  uint32_t box[5] = {1, 1, 1, 1, 1};    ///< without im2col: elements spanned, taken or not
  Swizzle swizzle = Swizzle::none;

  /// Implicit GEMM of a convolution on [n, h, w, c]: `pixels` positions of the filter's first tap,
  /// w fastest, from the lower corner to size - 1 + upper corner of w and h, then the next image,
  /// by `steps`; of each, `channels` elements at the tap's offset from it.
  bool im2col = false;
  int lower[2] = {},
      upper[2] = {};  ///< corners, w and h: -padding, padding - dilation * (taps - 1)
  uint32_t channels = 0, pixels = 0;  ///< at most 256 and 1024
};

/// Elements that a box takes of an axis.
SIMT_CX uint32_t taken(const TensorMapSpec& spec, int axis) {
  return (spec.box[axis] + spec.steps[axis] - 1) / spec.steps[axis];
}
/// Bytes that one copy brings, and its barrier must expect.
SIMT_CX uint32_t box_bytes(const TensorMapSpec& spec) {
  uint32_t bytes = uint32_t(spec.element_bytes);
  if (spec.im2col) return bytes * spec.channels * spec.pixels;
  for (int axis = 0; axis < spec.rank; ++axis) bytes *= taken(spec, axis);
  return bytes;
}

}  // namespace apprentice::simt
