#include <simt/kernel_test.h>

// The copy engine's boxes and im2col columns, compared with the sentences of the PTX ISA on tensors
// ("Tensor Dimension, Size and Format", "Tiled Mode", "Im2col mode", "Swizzling Modes").
namespace apprentice::kernels::SIMT_NS {

constexpr int rank_of_box = 3;

/// Copies one box or column to shared memory and from there to y.
template <bool Im2col>
SIMT_KERNEL copy_box(SIMT_GRID_CONSTANT const simt::TensorMap map, int a, int b, int c, int d,
                     int tap_w, int tap_h, uint32_t bytes, unsigned char* y) {
  unsigned char* s = simt::dynamic_shared<unsigned char, 1024>();
  SIMT_SHARED(uint64_t, barrier, 1);
  if (threadIdx.x == 0) {
    simt::mbarrier_init(barrier, 1);
    simt::mbarrier_fence_init();
  }
  simt::sync_block();
  if (threadIdx.x == 0) {
    simt::mbarrier_arrive_expect(barrier, bytes);
    if constexpr (Im2col) {
      const int at[4] = {a, b, c, d};
      simt::tensor_copy_im2col(s, map, at, uint16_t(tap_w), uint16_t(tap_h), barrier);
    } else {
      const int at[rank_of_box] = {a, b, c};
      simt::tensor_copy(s, map, at, barrier);
    }
  }
  simt::mbarrier_wait(barrier, 0);
  for (uint32_t i = threadIdx.x; i < bytes; i += 32) y[i] = s[i];
}

SIMT_KERNEL copy_rows(SIMT_GRID_CONSTANT const simt::TensorMap map, int x0, int y0, uint32_t bytes,
                      unsigned char* y) {
  unsigned char* s = simt::dynamic_shared<unsigned char, 1024>();
  SIMT_SHARED(uint64_t, barrier, 1);
  if (threadIdx.x == 0) {
    simt::mbarrier_init(barrier, 1);
    simt::mbarrier_fence_init();
    simt::mbarrier_arrive_expect(barrier, bytes);
    const int at[2] = {x0, y0};
    simt::tensor_copy(s, map, at, barrier);
  }
  simt::sync_block();
  simt::mbarrier_wait(barrier, 0);
  for (uint32_t i = threadIdx.x; i < bytes; i += 32) y[i] = s[i];
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

namespace {

using Image = std::vector<unsigned char>;

/// Where a byte lies under a swizzle of `span` bytes: of each span, chunk number c of 16 bytes is
/// xor-ed with the number of the 128-byte line, modulo the chunks of a span.
size_t swizzled(size_t byte, size_t span) {
  if (span == 0) return byte;
  const size_t chunk = byte / 16, line = byte / 128, chunks = span / 16;
  return (chunk ^ line % chunks) * 16 + byte % 16;
}

size_t span_of(simt::Swizzle swizzle) {
  switch (swizzle) {
    case simt::Swizzle::b128:
      return 128;
    case simt::Swizzle::b64:
      return 64;
    case simt::Swizzle::b32:
      return 32;
    default:
      return 0;
  }
}

}  // namespace

KERNEL_TEST_CASE_SM90("a tile of a matrix comes swizzled, with zeros outside of the matrix") {
  // [11, 200] bytes, rows 208 bytes apart.
  const auto x = testing::random_integers<unsigned char>(11 * 208, 1, 255, 1);
  const auto dx = simt::Buffer<unsigned char>::from(x);
  for (auto swizzle :
       {simt::Swizzle::none, simt::Swizzle::b32, simt::Swizzle::b64, simt::Swizzle::b128}) {
    const size_t span = span_of(swizzle);
    simt::TensorMapSpec spec{
        .rank = 2, .element_bytes = 1, .sizes = {200, 11}, .strides = {1, 208}};
    spec.swizzle = swizzle;
    spec.box[0] = span ? uint32_t(span) : 48;
    spec.box[1] = 16;
    const auto map = simt::make_tensor_map(spec, dx.data());
    const uint32_t bytes = simt::box_bytes(spec);
    REQUIRE(bytes == spec.box[0] * 16);
    for (const auto& [x0, y0] : {std::pair{0, 0}, {100, 5}, {-20, -3}, {190, 9}, {-500, 0}}) {
      const simt::Buffer<unsigned char> dy(bytes);
      simt::launch(kernels::SIMT_NS::copy_rows, 1, 32, bytes, nullptr, map, x0, y0, bytes,
                   dy.data());
      const auto got = dy.values();
      Image expected(bytes, 0);
      for (int i = 0; i < 16; ++i)
        for (int j = 0; j < int(spec.box[0]); ++j) {
          const int row = y0 + i, column = x0 + j;
          const bool inside = row >= 0 && row < 11 && column >= 0 && column < 200;
          expected[swizzled(size_t(i) * spec.box[0] + j, span)] =
              inside ? x[row * 208 + column] : 0;
        }
      CAPTURE(span, x0, y0);
      CHECK(got == expected);
    }
  }
}

KERNEL_TEST_CASE_SM90("a box of a tensor of 16-bit elements steps over what it leaves out") {
  // [5, 7, 16] of 2 bytes; every second row of axis 1.
  const auto x = testing::random_integers<uint16_t>(5 * 7 * 16, 1, 65535, 2);
  const auto dx = simt::Buffer<uint16_t>::from(x);
  simt::TensorMapSpec spec{.rank = 3,
                           .element_bytes = 2,
                           .sizes = {16, 7, 5},
                           .strides = {2, 32, 7 * 32},
                           .steps = {1, 2, 1},
                           .box = {8, 6, 3}};
  const auto map = simt::make_tensor_map(spec, dx.data());
  const uint32_t bytes = simt::box_bytes(spec);
  REQUIRE(bytes == 8 * 3 * 3 * 2);
  for (const auto& at : {std::array{0, 0, 0}, {5, 1, 3}, {-4, -2, -1}, {12, 4, 4}}) {
    const simt::Buffer<unsigned char> dy(bytes);
    simt::launch(kernels::SIMT_NS::copy_box<false>, 1, 32, bytes, nullptr, map, at[0], at[1], at[2],
                 0, 0, 0, bytes, dy.data());
    const auto got = dy.values();
    size_t wrong = 0, i = 0;
    for (int c = 0; c < 3; ++c)
      for (int b = 0; b < 6; b += 2)
        for (int a = 0; a < 8; ++a, ++i) {
          const int p = at[0] + a, q = at[1] + b, r = at[2] + c;
          const bool inside = p >= 0 && p < 16 && q >= 0 && q < 7 && r >= 0 && r < 5;
          const uint16_t expected = inside ? x[(r * 7 + q) * 16 + p] : 0;
          wrong += (got[2 * i] | got[2 * i + 1] << 8) != expected;
        }
    CAPTURE(at[0], at[1], at[2]);
    CHECK(wrong == 0);
  }
}

KERNEL_TEST_CASE_SM90("im2col gives the columns of a padded, strided, dilated convolution") {
  struct Problem {
    int n, h, w, c, kernel, stride, padding, dilation;
  };
  const auto p = GENERATE(Problem{2, 5, 6, 32, 3, 1, 1, 1}, Problem{2, 8, 7, 32, 3, 2, 1, 1},
                          Problem{1, 9, 9, 64, 3, 1, 2, 2}, Problem{3, 4, 4, 32, 1, 2, 0, 1},
                          Problem{1, 11, 6, 32, 5, 3, 2, 1});
  const auto x = testing::random_integers<unsigned char>(size_t(p.n * p.h * p.w * p.c), 1, 255, 3);
  const auto dx = simt::Buffer<unsigned char>::from(x);
  const int reach = p.dilation * (p.kernel - 1);
  const int out_h = (p.h + 2 * p.padding - reach - 1) / p.stride + 1;
  const int out_w = (p.w + 2 * p.padding - reach - 1) / p.stride + 1;
  constexpr int pixels = 8, channels = 32;
  const uint64_t c = uint64_t(p.c), w = uint64_t(p.w), h = uint64_t(p.h);
  simt::TensorMapSpec spec{.rank = 4,
                           .element_bytes = 1,
                           .sizes = {c, w, h, uint64_t(p.n)},
                           .strides = {1, c, w * c, h * w * c}};
  spec.steps[1] = spec.steps[2] = uint32_t(p.stride);
  spec.swizzle = simt::Swizzle::b32;
  spec.im2col = true;
  for (int i = 0; i < 2; ++i) {
    spec.lower[i] = -p.padding;
    spec.upper[i] = p.padding - reach;
  }
  spec.channels = channels;
  spec.pixels = pixels;
  const auto map = simt::make_tensor_map(spec, dx.data());
  const uint32_t bytes = simt::box_bytes(spec);
  const int total = p.n * out_h * out_w;
  for (int first = 0; first < total; first += pixels)
    for (int tap = 0; tap < p.kernel * p.kernel; tap += p.kernel + 1) {
      const int tap_w = tap % p.kernel * p.dilation, tap_h = tap / p.kernel * p.dilation;
      const int c0 = p.c - channels;
      const int w0 = first % out_w * p.stride - p.padding;
      const int h0 = first / out_w % out_h * p.stride - p.padding;
      const simt::Buffer<unsigned char> dy(bytes);
      simt::launch(kernels::SIMT_NS::copy_box<true>, 1, 32, bytes, nullptr, map, c0, w0, h0,
                   first / (out_w * out_h), tap_w, tap_h, bytes, dy.data());
      const auto got = dy.values();
      Image expected(bytes, 0);
      for (int i = 0; i < pixels; ++i) {
        const int pixel = first + i, image = pixel / (out_w * out_h);
        const int row = pixel / out_w % out_h * p.stride - p.padding + tap_h;
        const int column = pixel % out_w * p.stride - p.padding + tap_w;
        const bool inside = image < p.n && row >= 0 && row < p.h && column >= 0 && column < p.w;
        for (int j = 0; j < channels && inside; ++j)
          expected[swizzled(size_t(i * channels + j), 32)] =
              x[((size_t(image) * p.h + row) * p.w + column) * p.c + c0 + j];
      }
      CAPTURE(p.stride, p.padding, p.dilation, first, tap);
      CHECK(got == expected);
    }
}

}  // namespace apprentice
