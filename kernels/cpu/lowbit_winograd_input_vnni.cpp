// v of tiles. With 64 channels or more a vector holds channels of one pixel; 32 and 16 channels
// take 2 and 4 neighbouring tiles at once, their pixels shuffled to where each tile wants them.
// Rows of pixels outside of the image are read from zeros, columns are masked.
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

/// The bytes [begin, end) of 64.
inline __mmask64 bytes(int64_t begin, int64_t end) {
  const uint64_t below_end = end >= 64 ? ~uint64_t(0) : end <= 0 ? 0 : (uint64_t(1) << end) - 1;
  const uint64_t below_begin = begin <= 0    ? 0
                               : begin >= 64 ? ~uint64_t(0)
                                             : (uint64_t(1) << begin) - 1;
  return below_end & ~below_begin;
}

/// The last step of a tile: v of one row of B^T d (Rows = 2: row i of 4; Rows = 1: d itself), of
/// which the first two columns have 128 added.
template <int Rows>
inline void store_row(const __m512i (&b)[4], int i, uint8_t* v, int64_t plane_bytes) {
  __m512i out[4];
  transform<false>(b, out);
  if (i == 1 || Rows == 1) out[1] = add_128(out[1]);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) _mm512_storeu_si512(v + (i * 4 + j) * plane_bytes, out[j]);
}

/// Up to 64 channels of a tile; `load(i, j)` is row i, column j of d.
template <int Rows, class Load>
inline void tile(Load load, uint8_t* v, int64_t plane_bytes) {
  constexpr int kRows = Rows == 2 ? 4 : 1;
  __m512i b[kRows][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    if constexpr (Rows == 1) {
      b[0][j] = j < 2 ? add_128(load(0, j)) : load(0, j);
    } else {
      __m512i d[4], column[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) d[i] = load(i, j);
      if (j < 2) {
        transform<true>(d, column);
      } else {
        transform<false>(d, column);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) b[i][j] = column[i];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) store_row<Rows>(b[i], i, v, plane_bytes);
}

/// Rows of pixels of d, from column 0 of the image on; those outside of the image are zeros.
struct Rows4 {
  const uint8_t* at[4];
};

/// All channels of the tile whose d begins at column `col`.
template <int Rows>
inline void wide_tile(const LowbitWinograd& w, const Rows4& rows, int64_t col, uint8_t* v) {
  const int64_t in = w.in;
  const bool inside = col >= 0 && col + 4 <= w.width;
  int64_t c = 0;
  if (inside) {
    for (; c + 64 <= in; c += 64) {
      const int64_t at = col * in + c;
      const auto load = [&](int i, int j) { return _mm512_loadu_si512(rows.at[i] + at + j * in); };
      tile<Rows>(load, v + c, w.plane_bytes);
    }
  }
  for (; c < in; c += 64) {
    const __mmask64 channels = bytes(0, in - c);
    __mmask64 mask[4];
    for (int j = 0; j < 4; ++j) mask[j] = col + j >= 0 && col + j < w.width ? channels : 0;
    const int64_t at = col * in + c;
    const auto load = [&](int i, int j) {
      return _mm512_maskz_loadu_epi8(mask[j], rows.at[i] + at + j * in);
    };
    tile<Rows>(load, v + c, w.plane_bytes);
  }
}

/// Columns that 64 / Channels tiles side by side read: their first, second, third and fourth, from
/// the pixels of three vectors that begin at the first tile's.
template <int Channels>
inline void spread(const __m512i (&x)[3], __m512i (&column)[4]) {
  if constexpr (Channels == 32) {
    column[0] = _mm512_shuffle_i64x2(x[0], x[1], 0x44);
    column[1] = _mm512_shuffle_i64x2(x[0], x[1], 0xee);
    column[2] = _mm512_shuffle_i64x2(x[1], x[2], 0x44);
    column[3] = _mm512_shuffle_i64x2(x[1], x[2], 0xee);
  } else {
    column[0] = _mm512_shuffle_i64x2(x[0], x[1], 0x88);
    column[1] = _mm512_shuffle_i64x2(x[0], x[1], 0xdd);
    column[2] = _mm512_alignr_epi64(x[2], column[0], 2);
    column[3] = _mm512_alignr_epi64(_mm512_shuffle_i64x2(x[2], x[2], 0x01), column[1], 2);
  }
}

/// 64 / Channels tiles, the first of whose d begins at column `col`.
template <int Rows, int Channels>
inline void narrow_tiles(const LowbitWinograd& w, const Rows4& rows, int64_t col, uint8_t* v) {
  constexpr int kRows = Rows == 2 ? 4 : 1, kPixels = 64 / Channels;
  __m512i b[kRows][3];
#pragma GCC unroll 3
  for (int k = 0; k < 3; ++k) {
    const int64_t first = col + k * kPixels;
    const __mmask64 mask = bytes(-first * Channels, (w.width - first) * Channels);
    __m512i d[4];
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      d[i] = _mm512_maskz_loadu_epi8(mask, rows.at[i] + first * Channels);
    }
    if constexpr (Rows == 1) {
      b[0][k] = d[0];
    } else {
      __m512i column[4];
      transform<false>(d, column);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) b[i][k] = column[i];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) {
    __m512i column[4];
    spread<Channels>(b[i], column);
    column[0] = add_128(column[0]), column[1] = add_128(column[1]);
    store_row<Rows>(column, i, v, w.plane_bytes);
  }
}

/// Fetches what the tiles below read first: Rows rows of pixels from `row` on, behind an image
/// those of the next.
template <int Rows>
inline void prefetch_next(const LowbitWinograd& w, const uint8_t* image, int64_t row, int64_t first,
                          int64_t count) {
  for (int i = 0; i < Rows; ++i) {
    const uint8_t* from = image + ((row + i) * w.width + first * 2) * w.in;
    for (int64_t at = 0; at < count * 2 * w.in; at += 64) _mm_prefetch(from + at, _MM_HINT_T0);
  }
}

/// v of `count` tiles from column `first` on; their rows of d begin at row `row` of the image.
template <int Rows>
void tile_row(const LowbitWinograd& w, const uint8_t* image, int64_t row, int64_t first,
              int64_t count, uint8_t* v) {
  Rows4 rows;
  for (int i = 0; i < (Rows == 2 ? 4 : 1); ++i) {
    const bool inside = row + i >= 0 && row + i < w.height;
    rows.at[i] = inside ? image + (row + i) * w.width * w.in : w.zeros;
  }
  prefetch_next<Rows>(w, image, row + (Rows == 2 ? 4 : 1), first, count);
  int64_t col = first * 2 - w.pad_cols;
  const int64_t end = col + count * 2;
  if (w.in == 16) {
    for (; col < end; col += 8, v += 64) narrow_tiles<Rows, 16>(w, rows, col, v);
  } else if (w.in == 32) {
    for (; col < end; col += 4, v += 64) narrow_tiles<Rows, 32>(w, rows, col, v);
  } else {
    for (; col < end; col += 2, v += w.padded_in) wide_tile<Rows>(w, rows, col, v);
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
