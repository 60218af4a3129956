// A vector holds the channels of one output pixel, which stay in the register over its whole
// window.
#include <apprentice/kernels/cpu/max_pool_codes_simd_internal.h>
#include <apprentice/kernels/cpu/vector_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

typedef unsigned char Codes __attribute__((vector_size(4 * kLanes)));
typedef unsigned char Codes16 __attribute__((vector_size(16)));

template <class V>
APPRENTICE_INLINE V load_codes(const unsigned char* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}

/// The largest of channels [c, c + lanes of V) over columns [begin, end) of all rows.
template <class V>
APPRENTICE_INLINE V largest(const MaxPoolCodesRow& r, int64_t begin, int64_t end, int64_t c) {
  V top{};
  for (int64_t h = 0; h < r.rows; ++h) {
    const unsigned char* x = r.x + (h * r.width + begin) * r.channels + c;
    for (int64_t w = begin; w < end; ++w, x += r.channels) {
      const V v = load_codes<V>(x);
      top = v > top ? v : top;
    }
  }
  return top;
}

/// Channels from `c` on, as many as fill vectors V; the first that is left over.
template <class V>
APPRENTICE_INLINE int64_t channels(const MaxPoolCodesRow& r, int64_t begin, int64_t end, int64_t c,
                                   unsigned char* y) {
  for (; c + int64_t(sizeof(V)) <= r.channels; c += int64_t(sizeof(V))) {
    const V top = largest<V>(r, begin, end, c);
    __builtin_memcpy(y + c, &top, sizeof(V));
  }
  return c;
}

void row(const MaxPoolCodesRow& r) {
  for (int64_t q = 0; q < r.cols; ++q) {
    const int64_t first = q * r.stride - r.padding, last = first + r.kernel;
    const int64_t begin = first < 0 ? 0 : first, end = last < r.width ? last : r.width;
    unsigned char* y = r.y + q * r.channels;
    int64_t c = channels<Codes>(r, begin, end, 0, y);
    c = channels<Codes16>(r, begin, end, c, y);
    channels<unsigned char>(r, begin, end, c, y);
  }
}

}  // namespace

const MaxPoolCodesSimd max_pool_codes{row};

}  // namespace apprentice::kernels::APPRENTICE_ISA
