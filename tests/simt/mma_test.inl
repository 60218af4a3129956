#include <apprentice/base/bf16.h>
#include <simt/kernel_test.h>

// Fragments as the PTX ISA gives them, "Matrix Fragments for mma.m16n8k32" and "... m16n8k16 with
// floating point type": groupID = lane / 4, threadID_in_group = lane % 4, and for element i of A,
// B, C its row and column. The element-wise form of that page, not the register form of the
// emulator.
namespace apprentice::kernels::SIMT_NS {

template <class A, class B>
SIMT_KERNEL mma_8bit(const uint32_t* a_fragments, const uint32_t* b_fragments, int* d_fragments) {
  const unsigned lane = threadIdx.x;
  uint32_t a[4], b[2];
  int d[4];
  for (int i = 0; i < 4; ++i) a[i] = a_fragments[lane * 4 + i];
  for (int i = 0; i < 2; ++i) b[i] = b_fragments[lane * 2 + i];
  for (int i = 0; i < 4; ++i) d[i] = d_fragments[lane * 4 + i];
  simt::mma_m16n8k32<A, B>(d, a, b);
  for (int i = 0; i < 4; ++i) d_fragments[lane * 4 + i] = d[i];
}

SIMT_KERNEL mma_bf16(const uint32_t* a_fragments, const uint32_t* b_fragments, float* d_fragments) {
  const unsigned lane = threadIdx.x;
  uint32_t a[4], b[2];
  float d[4];
  for (int i = 0; i < 4; ++i) a[i] = a_fragments[lane * 4 + i];
  for (int i = 0; i < 2; ++i) b[i] = b_fragments[lane * 2 + i];
  for (int i = 0; i < 4; ++i) d[i] = d_fragments[lane * 4 + i];
  simt::mma_m16n8k16_bf16(d, a, b);
  for (int i = 0; i < 4; ++i) d_fragments[lane * 4 + i] = d[i];
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

namespace {

struct Place {
  int row, column;
};
/// Element i (0..15) of the 8-bit A of a lane, and i (0..7) of B, as row of K and column.
Place a8(int lane, int i) {
  const bool low = i < 4 || (i >= 8 && i < 12);
  return {low ? lane / 4 : lane / 4 + 8,
          i < 8 ? lane % 4 * 4 + (i & 3) : lane % 4 * 4 + (i & 3) + 16};
}
Place b8(int lane, int i) {
  return {i < 4 ? lane % 4 * 4 + (i & 3) : lane % 4 * 4 + (i & 3) + 16, lane / 4};
}
/// Element i (0..7) of the bf16 A, and i (0..3) of B.
Place a16(int lane, int i) {
  const bool low = i < 2 || (i >= 4 && i < 6);
  return {low ? lane / 4 : lane / 4 + 8,
          i < 4 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8};
}
Place b16(int lane, int i) {
  return {i < 2 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8, lane / 4};
}
/// Element i (0..3) of C and D.
Place c(int lane, int i) { return {i < 2 ? lane / 4 : lane / 4 + 8, lane % 4 * 2 + (i & 1)}; }

template <class A, class B>
void check_8bit(unsigned seed) {
  const auto a = testing::random_bytes<A>(16 * 32, seed);
  const auto b = testing::random_bytes<B>(32 * 8, seed + 1);  // [k][n]
  const auto d = testing::random_integers<int>(16 * 8, -1000, 1000, seed + 2);
  std::vector<uint32_t> a_words(128), b_words(64);
  std::vector<int> d_words(128);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 16; ++i) {
      const auto [row, k] = a8(lane, i);
      a_words[lane * 4 + i / 4] |= uint32_t(uint8_t(a[row * 32 + k])) << 8 * (i % 4);
    }
    for (int i = 0; i < 8; ++i) {
      const auto [k, n] = b8(lane, i);
      b_words[lane * 2 + i / 4] |= uint32_t(uint8_t(b[k * 8 + n])) << 8 * (i % 4);
    }
    for (int i = 0; i < 4; ++i) d_words[lane * 4 + i] = d[c(lane, i).row * 8 + c(lane, i).column];
  }
  const auto da = simt::Buffer<uint32_t>::from(a_words), db = simt::Buffer<uint32_t>::from(b_words);
  const auto dd = simt::Buffer<int>::from(d_words);
  simt::launch(kernels::SIMT_NS::mma_8bit<A, B>, 1, 32, 0, nullptr, da.data(), db.data(),
               dd.data());
  const auto got = dd.values();
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const auto [row, n] = c(lane, i);
      int expected = d[row * 8 + n];
      for (int k = 0; k < 32; ++k) expected += int(a[row * 32 + k]) * int(b[k * 8 + n]);
      CAPTURE(lane, i);
      CHECK(got[lane * 4 + i] == expected);
    }
}

}  // namespace

KERNEL_TEST_CASE("mma m16n8k32 multiplies fragments of the PTX ISA, signed and unsigned") {
  check_8bit<int8_t, int8_t>(1);
  check_8bit<uint8_t, int8_t>(4);
  check_8bit<int8_t, uint8_t>(7);
  check_8bit<uint8_t, uint8_t>(10);
}

KERNEL_TEST_CASE("mma m16n8k16 multiplies bf16 fragments of the PTX ISA") {
  // Small integers: exact in bf16 and in any order of summation.
  const auto a = testing::random_integers<float>(16 * 16, -16, 16, 20);
  const auto b = testing::random_integers<float>(16 * 8, -16, 16, 21);
  const auto d = testing::random_integers<float>(16 * 8, -100, 100, 22);
  std::vector<uint32_t> a_words(128), b_words(64);
  std::vector<float> d_words(128);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 8; ++i) {
      const auto [row, k] = a16(lane, i);
      a_words[lane * 4 + i / 2] |= uint32_t(Bf16(a[row * 16 + k]).bits) << 16 * (i % 2);
    }
    for (int i = 0; i < 4; ++i) {
      const auto [k, n] = b16(lane, i);
      b_words[lane * 2 + i / 2] |= uint32_t(Bf16(b[k * 8 + n]).bits) << 16 * (i % 2);
      d_words[lane * 4 + i] = d[c(lane, i).row * 8 + c(lane, i).column];
    }
  }
  const auto da = simt::Buffer<uint32_t>::from(a_words), db = simt::Buffer<uint32_t>::from(b_words);
  const auto dd = simt::Buffer<float>::from(d_words);
  simt::launch(kernels::SIMT_NS::mma_bf16, 1, 32, 0, nullptr, da.data(), db.data(), dd.data());
  const auto got = dd.values();
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const auto [row, n] = c(lane, i);
      float expected = d[row * 8 + n];
      for (int k = 0; k < 16; ++k) expected += a[row * 16 + k] * b[k * 8 + n];
      CAPTURE(lane, i);
      CHECK(got[lane * 4 + i] == expected);
    }
}

}  // namespace apprentice
