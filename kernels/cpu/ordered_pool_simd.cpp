#include <apprentice/kernels/cpu/ordered_pool_simd_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

/// Channels [first, first + count) of one image; loops that the compiler vectorises.
template <class T>
void group(const T* x, int64_t pixels, int64_t channels, int64_t count, float factor, float* y) {
  constexpr int64_t kMost = 32;
  int32_t sum[kMost] = {};
  if (count == kMost) {
    for (int64_t i = 0; i < pixels; ++i)
      for (int64_t c = 0; c < kMost; ++c) sum[c] += int32_t(x[i * channels + c]);
  } else {
    for (int64_t i = 0; i < pixels; ++i)
      for (int64_t c = 0; c < count; ++c) sum[c] += int32_t(x[i * channels + c]);
  }
  for (int64_t c = 0; c < count; ++c) y[c] = float(sum[c]) * factor;
}

template <class T>
void image(const T* x, int64_t pixels, int64_t channels, float factor, float* y) {
  for (int64_t c = 0; c < channels; c += 32) {
    const int64_t count = channels - c < 32 ? channels - c : 32;
    group(x + c, pixels, channels, count, factor, y + c);
  }
}

}  // namespace

const OrderedPoolSimd ordered_pool{image<float>, image<unsigned char>};

}  // namespace apprentice::kernels::APPRENTICE_ISA
