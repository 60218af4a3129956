// v of tiles, 64 channels of a tile at a time. Pixels outside of the image are read from zeros.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_winograd_internal.h>

namespace apprentice::kernels::vnni {
namespace {

inline __m512i add_128(__m512i v) { return _mm512_xor_si512(v, _mm512_set1_epi8(-128)); }

/// v0 = d0 - d2, v1 = d1 + d2, v2 = d2 - d1, v3 = d1 - d3, each plus 128 (modulo 256) if Offset.
template <bool Offset>
inline void transform(const __m512i (&d)[4], __m512i (&v)[4]) {
  const __m512i d0 = Offset ? add_128(d[0]) : d[0], d1 = Offset ? add_128(d[1]) : d[1];
  v[0] = _mm512_sub_epi8(d0, d[2]);
  v[1] = _mm512_add_epi8(d1, d[2]);
  v[2] = _mm512_sub_epi8(d[2], d1);
  v[3] = _mm512_sub_epi8(d1, d[3]);
}

/// v of up to 64 channels of a tile: B^T d B, `load(i, j)` is row i, column j of d.
template <class Load>
inline void tile_2d(Load load, uint8_t* v, int64_t plane_bytes) {
  __m512i b[4][4];  // [column][row]
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    __m512i d[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) d[i] = load(i, j);
    if (j < 2) {  // 128 on the first two columns reaches all positions but one
      transform<true>(d, b[j]);
    } else {
      transform<false>(d, b[j]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i row[4] = {b[0][i], b[1][i], b[2][i], b[3][i]};
    __m512i out[4];
    transform<false>(row, out);
    if (i == 1) out[1] = add_128(out[1]);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) _mm512_storeu_si512(v + (i * 4 + j) * plane_bytes, out[j]);
  }
}

/// v of up to 64 channels of one row of a tile: B^T d.
template <class Load>
inline void tile_1d(Load load, uint8_t* v, int64_t plane_bytes) {
  __m512i d[4], out[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) d[j] = load(0, j);
  transform<true>(d, out);
  out[1] = _mm512_add_epi8(d[1], d[2]);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) _mm512_storeu_si512(v + j * plane_bytes, out[j]);
}

/// All channels of a tile; at[i][j] is pixel j of row i.
template <int Rows>
inline void tile(const LowbitWinograd& w, const uint8_t* const (&at)[4][4], uint8_t* v) {
  for (int64_t c = 0; c < w.in; c += 64) {
    const int64_t left = w.in - c;
    const __mmask64 mask = left >= 64 ? ~__mmask64(0) : (__mmask64(1) << left) - 1;
    const auto load = [&](int i, int j) { return _mm512_maskz_loadu_epi8(mask, at[i][j] + c); };
    if constexpr (Rows == 2) {
      tile_2d(load, v + c, w.plane_bytes);
    } else {
      tile_1d(load, v + c, w.plane_bytes);
    }
  }
}

/// v of `count` tiles from column `first` on; their rows of d begin at row `row` of the image.
template <int Rows>
void tile_row(const LowbitWinograd& w, const uint8_t* image, int64_t row, int64_t first,
              int64_t count, uint8_t* v) {
  constexpr int kRows = Rows == 2 ? 4 : 1;
  for (int64_t tx = first; tx < first + count; ++tx, v += w.padded_in) {
    const uint8_t* at[4][4];
    const int64_t col = tx * 2 - w.pad_cols;
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const bool row_inside = row + i >= 0 && row + i < w.height;
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const bool inside = row_inside && col + j >= 0 && col + j < w.width;
        at[i][j] = inside ? image + ((row + i) * w.width + col + j) * w.in : w.zeros;
      }
    }
    tile<Rows>(w, at, v);
  }
}

}  // namespace

template <>
void winograd_input<2>(const LowbitWinograd& w, int64_t tile, int64_t tiles, uint8_t* v) {
  for (const int64_t end = tile + tiles; tile < end;) {
    const int64_t row = tile / w.tile_cols, first = tile % w.tile_cols;
    const int64_t left = end - tile, rest = w.tile_cols - first;
    const int64_t count = left < rest ? left : rest;
    const uint8_t* image = w.x + row / w.tile_rows * w.height * w.width * w.in;
    tile_row<2>(w, image, row % w.tile_rows * 2 - w.pad_rows, first, count, v);
    tile += count, v += count * w.padded_in;
  }
}

template <>
void winograd_input<1>(const LowbitWinograd& w, int64_t tile, int64_t tiles, uint8_t* v) {
  const int64_t begin = tile / w.tile_cols, rows = tiles / w.tile_cols + 2;
  const uint8_t* image = w.x + begin / w.tile_rows * w.height * w.width * w.in;
  const int64_t top = begin % w.tile_rows - w.pad_rows;
  for (int64_t k = 0; k < rows; ++k) {
    tile_row<1>(w, image, top + k, 0, w.tile_cols, v + k * w.tile_cols * w.padded_in);
  }
}

}  // namespace apprentice::kernels::vnni
