#include <simt/kernel_test.h>

// D[64, N] = A[64, K] B[N, K]^T with K = 32 * steps, by one warpgroup, without pipelines: every
// width, swizzle, sign and both places of A. The test fills shared memory and registers by the
// formulas of the PTX ISA: "Register Fragments" of wgmma.m64nNk32, "Shared Memory Matrix Layout".
namespace apprentice::kernels::SIMT_NS {

/// a and b are images of the tiles in shared memory, of 64 * K and N * K bytes; a_fragments holds
/// [step][thread][4] registers, which the register form takes instead of a.
template <int N, class A, class B, bool Registers>
SIMT_KERNEL wgmma_tile(const simt::U32x4* a, const uint32_t* a_fragments, const simt::U32x4* b,
                       int* d_fragments, int steps, uint32_t leading_bytes, uint32_t stride_bytes,
                       uint32_t step_bytes, simt::Swizzle swizzle) {
  unsigned char* shared = simt::dynamic_shared<unsigned char, 1024>();
  unsigned char* shared_b = shared + 64 * 32 * steps;
  for (int i = int(threadIdx.x); i < 64 * 2 * steps; i += 128)
    simt::store_as(shared + 16 * i, a[i]);
  for (int i = int(threadIdx.x); i < N * 2 * steps; i += 128)
    simt::store_as(shared_b + 16 * i, b[i]);
  simt::fence_async_proxy();
  simt::sync_block();
  int d[N / 2];
  for (int i = 0; i < N / 2; ++i) d[i] = -1;
  uint32_t registers[4];
  for (int step = 0; step < steps; ++step) {
    const uint64_t descriptor_b = simt::wgmma_descriptor(shared_b + uint32_t(step) * step_bytes,
                                                         leading_bytes, stride_bytes, swizzle);
    for (int r = 0; r < 4; ++r) registers[r] = a_fragments[(step * 128 + int(threadIdx.x)) * 4 + r];
    simt::wgmma_fence();
    if constexpr (Registers) {
      simt::wgmma_m64k32<N, A, B>(d, registers, descriptor_b, step > 0);
    } else {
      const uint64_t descriptor_a = simt::wgmma_descriptor(shared + uint32_t(step) * step_bytes,
                                                           leading_bytes, stride_bytes, swizzle);
      simt::wgmma_m64k32<N, A, B>(d, descriptor_a, descriptor_b, step > 0);
    }
    simt::wgmma_commit();
    simt::wgmma_wait<0>();
  }
  for (int i = 0; i < N / 2; ++i) d_fragments[int(threadIdx.x) * (N / 2) + i] = d[i];
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

namespace {

/// Where byte k of a row lies in the image of a K-major tile, and what its descriptor says.
struct Layout {
  simt::Swizzle swizzle;
  int steps;
  uint32_t leading_bytes, stride_bytes, step_bytes;

  /// Rows of one swizzle span hold the whole of K: 32 bytes a step.
  static Layout swizzled(simt::Swizzle swizzle, int steps) {
    return {swizzle, steps, 16, uint32_t(8 * 32 * steps), 32};
  }
  /// Cores of 8 rows of 16 bytes: first those of K, then the next 8 rows.
  static Layout plain(int steps) {
    return {simt::Swizzle::none, steps, 128, uint32_t(8 * 32 * steps), 256};
  }
  int at(int row, int k) const {
    if (swizzle == simt::Swizzle::none)
      return row / 8 * int(stride_bytes) + k / 16 * 128 + row % 8 * 16 + k % 16;
    // 16-byte chunk c of row r lies at c xor (r, or as many of its bits as the span has chunks):
    // spans of 128 bytes: r % 8; of 64: r / 2 % 4; of 32: r / 4 % 2.
    const int span = 32 * steps, r = row % 8;
    const int chunk = k / 16 ^ (span == 128 ? r : span == 64 ? r / 2 : r / 4);
    return row * span + chunk * 16 + k % 16;
  }
};

template <int N, class A, class B, bool Registers>
void check_wgmma(const Layout& layout, unsigned seed) {
  const int depth = 32 * layout.steps;
  const auto a = testing::random_bytes<A>(size_t(64 * depth), seed);
  const auto b = testing::random_bytes<B>(size_t(N * depth), seed + 1);
  std::vector<unsigned char> a_image(a.size()), b_image(b.size());
  for (int row = 0; row < 64; ++row)
    for (int k = 0; k < depth; ++k) a_image[layout.at(row, k)] = uint8_t(a[row * depth + k]);
  for (int row = 0; row < N; ++row)
    for (int k = 0; k < depth; ++k) b_image[layout.at(row, k)] = uint8_t(b[row * depth + k]);
  std::vector<unsigned char> fragments(size_t(layout.steps) * 128 * 16);
  for (int step = 0; step < layout.steps; ++step)
    for (int t = 0; t < 128; ++t)
      for (int i = 0; i < 16; ++i) {  // element a_i of the ISA's table
        const int row = 16 * (t / 32) + t % 32 / 4 + (i % 8 < 4 ? 0 : 8);
        const int k = step * 32 + t % 4 * 4 + i % 4 + (i < 8 ? 0 : 16);
        fragments[(step * 128 + t) * 16 + i] = uint8_t(a[row * depth + k]);
      }
  const auto da = simt::Buffer<unsigned char>::from(a_image);
  const auto df = simt::Buffer<unsigned char>::from(fragments);
  const auto db = simt::Buffer<unsigned char>::from(b_image);
  const simt::Buffer<int> dd(128 * N / 2);
  simt::launch(kernels::SIMT_NS::wgmma_tile<N, A, B, Registers>, 1, 128, a.size() + b.size(),
               nullptr, reinterpret_cast<const simt::U32x4*>(da.data()),
               reinterpret_cast<const uint32_t*>(df.data()),
               reinterpret_cast<const simt::U32x4*>(db.data()), dd.data(), layout.steps,
               layout.leading_bytes, layout.stride_bytes, layout.step_bytes, layout.swizzle);
  const auto got = dd.values();
  int wrong = 0;
  for (int t = 0; t < 128; ++t)
    for (int i = 0; i < N / 2; ++i) {
      const int row = 16 * (t / 32) + t % 32 / 4 + (i % 4 < 2 ? 0 : 8);
      const int column = i / 4 * 8 + t % 4 * 2 + i % 2;
      int expected = 0;
      for (int k = 0; k < depth; ++k)
        expected += int(a[row * depth + k]) * int(b[column * depth + k]);
      wrong += got[t * (N / 2) + i] != expected;
    }
  CAPTURE(N, Registers, layout.steps, int(layout.swizzle));
  CHECK(wrong == 0);
}

template <int N>
void check_width() {
  const Layout layout = Layout::swizzled(simt::Swizzle::b128, 4);
  check_wgmma<N, int8_t, int8_t, false>(layout, N);
  check_wgmma<N, int8_t, int8_t, true>(layout, N);
}

}  // namespace

KERNEL_TEST_CASE_SM90("wgmma of every width multiplies A of shared memory and of registers") {
  check_width<8>();
  check_width<16>();
  check_width<24>();
  check_width<32>();
  check_width<48>();
  check_width<64>();
  check_width<80>();
  check_width<96>();
  check_width<112>();
  check_width<128>();
  check_width<144>();
  check_width<160>();
  check_width<176>();
  check_width<192>();
  check_width<208>();
  check_width<224>();
  check_width<240>();
  check_width<256>();
}

KERNEL_TEST_CASE_SM90("wgmma takes signed and unsigned operands in any mixture") {
  const Layout layout = Layout::swizzled(simt::Swizzle::b128, 4);
  check_wgmma<64, uint8_t, int8_t, false>(layout, 1);
  check_wgmma<64, uint8_t, int8_t, true>(layout, 2);
  check_wgmma<64, int8_t, uint8_t, false>(layout, 3);
  check_wgmma<64, int8_t, uint8_t, true>(layout, 4);
  check_wgmma<64, uint8_t, uint8_t, false>(layout, 5);
  check_wgmma<64, uint8_t, uint8_t, true>(layout, 6);
}

KERNEL_TEST_CASE_SM90("wgmma reads tiles of every swizzle") {
  check_wgmma<32, int8_t, int8_t, false>(Layout::swizzled(simt::Swizzle::b64, 2), 4);
  check_wgmma<32, int8_t, int8_t, false>(Layout::swizzled(simt::Swizzle::b32, 1), 5);
  check_wgmma<32, int8_t, int8_t, false>(Layout::plain(1), 6);
  check_wgmma<32, int8_t, int8_t, false>(Layout::plain(3), 7);
}

}  // namespace apprentice
