// AVX-VNNI (256-bit) tiles of low-bit GEMM, for processors without AVX-512: those of AVX2, with one
// vpdpbusd in the place of vpmaddubsw, vpaddw and the widening: u8 x s8 into s32, which cannot
// saturate. All else of low-bit GEMM is AVX2's.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>

namespace apprentice::kernels::avxvnni {
namespace {

constexpr int64_t kLanes = 8;
constexpr int kTileRows = 6;

/// Every third row has a pointer of its own, which reaches the next two by scaled indexing.
template <int Panels, int Rows>
void tile(const GemmTile& t) {
  constexpr int kPointers = (Rows + 2) / 3;
  __m256i sums[Rows][Panels];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) {
      const int32_t* from = t.from + r * t.from_step + p * kLanes;
      sums[r][p] = _mm256_loadu_si256((const __m256i*)from);
    }
  }
  const int64_t x_step = t.x_step;
  const int8_t* w = t.w;
  const uint8_t* at[kPointers];
#pragma GCC unroll 2
  for (int k = 0; k < kPointers; ++k) {
    at[k] = t.x + 3 * k * x_step;
    asm("" : "+r"(at[k]));  // else the compiler derives them from one another, in more registers
  }
  for (int64_t step = t.steps; step > 0; --step, w += Panels * 32) {
    __m256i v[Panels];
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) v[p] = _mm256_load_si256((const __m256i*)(w + p * 32));
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      int32_t bytes;
      __builtin_memcpy(&bytes, at[r / 3] + r % 3 * x_step, 4);
      const __m256i x = _mm256_set1_epi32(bytes);
#pragma GCC unroll 2
      for (int p = 0; p < Panels; ++p) {
        sums[r][p] = _mm256_dpbusd_avx_epi32(sums[r][p], x, v[p]);
      }
    }
#pragma GCC unroll 2
    for (int k = 0; k < kPointers; ++k) at[k] += 4;
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) {
      _mm256_storeu_si256((__m256i*)(t.to + r * t.to_step + p * kLanes), sums[r][p]);
    }
  }
}

void multiply(const GemmTile& t, int64_t panels, int64_t rows) {
  using Tile = void (*)(const GemmTile&);
  static constexpr Tile kTiles[][kTileRows] = {
      {tile<1, 1>, tile<1, 2>, tile<1, 3>, tile<1, 4>, tile<1, 5>, tile<1, 6>},
      {tile<2, 1>, tile<2, 2>, tile<2, 3>, tile<2, 4>, tile<2, 5>, tile<2, 6>}};
  kTiles[panels - 1][rows - 1](t);
}

}  // namespace

GemmIsa lowbit_gemm(const GemmIsa& avx2) {
  GemmIsa isa = avx2;
  isa.tile_rows[0] = isa.tile_rows[1] = kTileRows;
  isa.multiply = multiply;
  return isa;
}

}  // namespace apprentice::kernels::avxvnni
