#include <apprentice/kernels/codes.h>

#include <algorithm>

#include <apprentice/base/error.h>

namespace apprentice::kernels {

template <int Bits>
void pack_codes(View2<const int8_t> codes, uint8_t* bytes) {
  const int64_t row_bytes = packed_row_bytes(Bits, codes.size(1));
  std::fill_n(bytes, codes.size(0) * row_bytes, uint8_t(0));
  for (int64_t row = 0; row < codes.size(0); ++row) {
    for (int64_t col = 0; col < codes.size(1); ++col) {
      const int code = codes(row, col);
      check(code >= min_code<Bits> && code <= max_code<Bits>,
            "code {} at row {}, column {} is outside [{}, {}]", code, row, col, min_code<Bits>,
            max_code<Bits>);
      const int64_t bit = col * Bits;
      const int field = (code & ((1 << Bits) - 1)) << (bit % 8);
      bytes[row * row_bytes + bit / 8] |= uint8_t(field);
    }
  }
}

template <int Bits>
void unpack_codes(const PackedCodes<Bits>& packed, View2<int8_t> codes) {
  for (int64_t row = 0; row < packed.rows; ++row) {
    for (int64_t col = 0; col < packed.cols; ++col) codes(row, col) = int8_t(packed.at(row, col));
  }
}

template <int Bits>
void check_codes(const PackedCodes<Bits>& packed, const std::string& what) {
  const int used_bits = int(packed.cols * Bits % 8);
  for (int64_t row = 0; row < packed.rows; ++row) {
    for (int64_t col = 0; col < packed.cols; ++col) {
      const int code = packed.at(row, col);
      check<DamagedFile>(code >= min_code<Bits>,
                         "{}: code {} at row {}, column {}, expected {} to {}", what, code, row,
                         col, min_code<Bits>, max_code<Bits>);
    }
    if (used_bits == 0 || packed.cols == 0) continue;
    const int last = packed.data[(row + 1) * packed.row_bytes() - 1];
    check<DamagedFile>(last >> used_bits == 0, "{}: row {} has bits set behind its {} codes", what,
                       row, packed.cols);
  }
}

template void pack_codes<2>(View2<const int8_t>, uint8_t*);
template void pack_codes<4>(View2<const int8_t>, uint8_t*);
template void unpack_codes<2>(const PackedCodes<2>&, View2<int8_t>);
template void unpack_codes<4>(const PackedCodes<4>&, View2<int8_t>);
template void check_codes<2>(const PackedCodes<2>&, const std::string&);
template void check_codes<4>(const PackedCodes<4>&, const std::string&);

}  // namespace apprentice::kernels
