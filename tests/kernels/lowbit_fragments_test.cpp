#include <catch2/catch.hpp>

#include <apprentice/kernels/lowbit_fragments.h>

#include "lowbit_problem.h"

namespace apprentice {
namespace {

using kernels::FragmentLayout;

/// The four registers of the fragment that a lane decodes from its words.
template <int Bits>
std::array<uint32_t, 4> decode(const uint32_t* words) {
  std::array<uint32_t, 4> a{};
  for (int r = 0; r < 4; ++r) {
    a[size_t(r)] = Bits == 2    ? (words[0] << 2 * r) & 0xC0C0C0C0u
                   : r % 2 == 0 ? words[r / 2] & 0xF0F0F0F0u
                                : (words[r / 2] << 4) & 0xF0F0F0F0u;
  }
  return a;
}

/// The 16 bytes a lane reads of a part of a block of this strip and slab.
template <int Bits>
const uint32_t* lane_words(const std::vector<uint32_t>& words, int64_t block, int fragment,
                           int part, int lane) {
  const int parts = Bits / 2;
  return words.data() + (((block * 2 + fragment) * parts + part) * 32 + lane) * 4;
}

template <int Bits>
void check_all(int64_t rows, int64_t cols) {
  Rng rng = test::problem_rng(uint64_t(rows * 1000 + cols));
  const test::RandomCodes<Bits> weight(rng, rows, cols);
  const auto words = kernels::make_fragments(weight.packed);
  const int64_t strips = (rows + 31) / 32, slabs = (cols + 127) / 128;
  REQUIRE(int64_t(words.size()) == strips * slabs * 128 * Bits);
  const FragmentLayout layout{rows, cols};
  const int per_part = Bits == 2 ? 4 : 2, words_each = Bits / 2;
  int64_t wrong = 0;
  for (int64_t block = 0; block < strips * slabs; ++block) {
    // Tiles of four strips; in a tile slab after slab, strip after strip.
    const int64_t tile = block / (4 * slabs), width = std::min<int64_t>(4, strips - 4 * tile);
    const int64_t in_tile = block - tile * 4 * slabs;
    const int64_t slab = in_tile / width, strip = 4 * tile + in_tile % width;
    CHECK(layout.block(strip, slab) == block);
    for (int at = 0; at < 2 * 4 * 32 * 4 * 4; ++at) {
      const int byte = at % 4, r = at / 4 % 4, lane = at / 16 % 32;
      const int k32 = at / 512 % 4, fragment = at / 2048;
      const uint32_t* read = lane_words<Bits>(words, block, fragment, k32 / per_part, lane) +
                             k32 % per_part * words_each;
      const int operand = int8_t(decode<Bits>(read)[size_t(r)] >> 8 * byte);
      // PTX ISA, fragments of mma.m16n8k32, matrix A.
      const int g = lane / 4, t = lane % 4;
      const int mma_row = g + 8 * (r & 1), k = 4 * t + byte + 16 * (r >> 1);
      const int64_t row = 32 * strip + 4 * (mma_row % 8) + 2 * fragment + mma_row / 8;
      const int64_t col = 128 * slab + 32 * k32 + k;
      const bool inside = row < rows && col < cols;
      const int code = inside ? weight.codes[size_t(row * cols + col)] : 0;
      wrong += operand != code * (Bits == 2 ? 64 : 16);
    }
  }
  INFO(rows << " rows, " << cols << " columns");
  CHECK(wrong == 0);
}

}  // namespace

TEMPLATE_TEST_CASE_SIG("every byte of every register of every lane holds the code of its row and k",
                       "[lowbit]", ((int Bits), Bits), 2, 4) {
  for (const int64_t rows : {1, 15, 16, 31, 32, 33, 128, 129, 200}) {
    for (const int64_t cols : {1, 31, 33, 127, 128, 129, 300}) check_all<Bits>(rows, cols);
  }
}

TEMPLATE_TEST_CASE_SIG("fragments of no rows or no columns are empty", "[lowbit]",
                       ((int Bits), Bits), 2, 4) {
  CHECK(kernels::make_fragments<Bits>({nullptr, 0, 70}).empty());
  CHECK(kernels::make_fragments<Bits>({nullptr, 70, 0}).empty());
}

}  // namespace apprentice
