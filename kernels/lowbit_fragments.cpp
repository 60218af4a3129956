#include <apprentice/kernels/lowbit_fragments.h>

namespace apprentice::kernels {

template <int Bits>
FragmentBit fragment_bit(const FragmentLayout& layout, int64_t row, int64_t col) {
  constexpr int64_t kParts = Bits / 2, kFragments = 4 / kParts, kWords = Bits / 2;
  const int64_t output = row % FragmentLayout::strip_rows;
  const int64_t g = output / 4, fragment = output / 2 % 2, high_row = output % 2;
  const int64_t k32 = col % FragmentLayout::slab_depth / 32, k = col % 32;
  const int64_t high_k = k / 16, t = k / 4 % 4, byte = k % 4;
  const int64_t r = high_row + 2 * high_k, lane = 4 * g + t;
  const int64_t block =
      layout.block(row / FragmentLayout::strip_rows, col / FragmentLayout::slab_depth);
  const int64_t part = k32 / kFragments;
  int64_t word = (block * 2 + fragment) * kParts + part;
  word = (word * 32 + lane) * 4 + k32 % kFragments * kWords;
  if constexpr (Bits == 2) return {word, int(8 * byte + 6 - 2 * r)};
  return {word + r / 2, int(8 * byte + 4 - 4 * (r % 2))};
}

template <int Bits>
std::vector<uint32_t> make_fragments(const PackedCodes<Bits>& weight) {
  const FragmentLayout layout{weight.rows, weight.cols};
  const int64_t blocks = layout.strips() * layout.slabs();
  std::vector<uint32_t> words(size_t(blocks * FragmentLayout::block_words(Bits)), 0);
  for (int64_t row = 0; row < weight.rows; ++row) {
    for (int64_t col = 0; col < weight.cols; ++col) {
      const FragmentBit at = fragment_bit<Bits>(layout, row, col);
      const auto code = uint32_t(weight.at(row, col)) & ((1u << Bits) - 1);
      words[size_t(at.word)] |= code << at.bit;
    }
  }
  return words;
}

template FragmentBit fragment_bit<2>(const FragmentLayout&, int64_t, int64_t);
template FragmentBit fragment_bit<4>(const FragmentLayout&, int64_t, int64_t);
template std::vector<uint32_t> make_fragments<2>(const PackedCodes<2>&);
template std::vector<uint32_t> make_fragments<4>(const PackedCodes<4>&);

}  // namespace apprentice::kernels
