#pragma once

#include <cstdint>
#include <string>

#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// Bytes of one row of `cols` packed codes: a row is padded to a whole byte only.
constexpr int64_t packed_row_bytes(int bits, int64_t cols) { return (cols * bits + 7) / 8; }

/// Canonical packed codes, as files hold them (docs/packed_format.md): row-major over
/// (rows, cols), two's complement, low bits first, unused bits of a row's last byte 0.
/// Convolution weights have a row an output channel and cols = kh*kw*in in OHWI order.
template <int Bits>
struct PackedCodes {
  static_assert(Bits == 2 || Bits == 4);
  static constexpr int bits = Bits;
  const uint8_t* data = nullptr;
  int64_t rows = 0, cols = 0;

  int64_t row_bytes() const { return packed_row_bytes(Bits, cols); }
  int64_t bytes() const { return rows * row_bytes(); }
  /// The code at (row, col), sign-extended; no bounds check.
  int at(int64_t row, int64_t col) const {
    const int64_t bit = col * Bits;
    const int field = data[row * row_bytes() + bit / 8] >> (bit % 8) & ((1 << Bits) - 1);
    return field - (field >> (Bits - 1) << Bits);
  }
};
using TernaryCodes = PackedCodes<2>;  ///< -1, 0, +1; the fourth pattern (-2) is invalid
using Int4Codes = PackedCodes<4>;     ///< -8 to 7

/// Smallest and largest code of a format: [-1, 1] and [-8, 7].
template <int Bits>
inline constexpr int min_code = Bits == 2 ? -1 : -(1 << (Bits - 1));
template <int Bits>
inline constexpr int max_code = (1 << (Bits - 1)) - 1;

/// Packs codes [rows, cols] into `bytes`, rows * packed_row_bytes(Bits, cols) of them.
/// Error naming row, column and value if a code is outside [min_code, max_code].
template <int Bits>
void pack_codes(View2<const int8_t> codes, uint8_t* bytes);
/// The reverse; codes has the sizes of `packed`. Takes valid codes (check_codes).
template <int Bits>
void unpack_codes(const PackedCodes<Bits>& packed, View2<int8_t> codes);
/// DamagedFile naming `what`, row and column at an invalid code (-2 where ternary), or at a bit
/// that is set behind the last code of a row.
template <int Bits>
void check_codes(const PackedCodes<Bits>& packed, const std::string& what);

}  // namespace apprentice::kernels
