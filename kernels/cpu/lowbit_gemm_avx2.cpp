// AVX2 kernels of low-bit GEMM. A tile is 1 or 2 panels of 8 outputs by up to kTileRows rows of x;
// a step broadcasts 4 bytes of a row and multiplies them with 8 x 4 weights by vpmaddubsw. Its
// pairs are summed in s16 for `narrow_steps` steps, which cannot saturate, then widened into the
// s32 sums. Weights of a tile are a byte each, unpacked once for many tiles.
#include <apprentice/kernels/cpu/lowbit_gemm_avx2_internal.h>

namespace apprentice::kernels::avx2 {
namespace {

constexpr int kTileRows = 4;

void copy(const uint8_t* from, int64_t count, uint8_t flip, uint8_t* to) {
  const __m256i bits = _mm256_set1_epi8(char(flip));
  int64_t k = 0;
  for (; k + 32 <= count; k += 32) {
    const __m256i bytes = _mm256_loadu_si256((const __m256i*)(from + k));
    _mm256_storeu_si256((__m256i*)(to + k), _mm256_xor_si256(bytes, bits));
  }
  for (; k < count; ++k) to[k] = from[k] ^ flip;
}

/// Codes of 8 numbers. Of vmaxps's operands the second comes through where one is NaN.
inline __m256i codes_of(__m256 x, const GemmGrid& grid) {
  const __m256 t = _mm256_mul_ps(x, _mm256_set1_ps(grid.inv_step));
  const __m256 floored = _mm256_max_ps(t, _mm256_set1_ps(grid.low));
  return _mm256_cvtps_epi32(_mm256_min_ps(floored, _mm256_set1_ps(grid.high)));
}

/// The low bytes of 8 numbers.
inline long long low_bytes(__m256i codes) {
  const __m256i bytes = _mm256_and_si256(codes, _mm256_set1_epi32(255));
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
  return _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
}

inline void store_bytes(long long bytes, int64_t left, uint8_t* to) {
  if (left >= kLanes) {
    __builtin_memcpy(to, &bytes, 8);
  } else {
    for (int64_t k = 0; k < left; ++k) to[k] = uint8_t(bytes >> (8 * k));
  }
}

void quantize(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip, uint8_t* to) {
  const __m256i bits = _mm256_set1_epi32(flip);
  for (int64_t k = 0; k < count; k += kLanes) {
    const __m256 x = _mm256_maskload_ps(from + k, lane_mask(count - k));
    store_bytes(low_bytes(_mm256_xor_si256(codes_of(x, grid), bits)), count - k, to + k);
  }
}

/// The 16 bytes `of(0)` to `of(15)` in each half.
template <class Of>
inline __m256i table(Of of) {
  alignas(16) int8_t bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = int8_t(of(i));
  return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i*)bytes));
}

/// What the two fields of a nibble hold, by the nibble; 4-bit codes have one.
struct Tables {
  __m256i low, high;
};

inline Tables code_tables() {
  return {table([](int i) { return i % 4 - 1; }), table([](int i) { return i / 4 - 1; })};
}
inline Tables equal_tables(int field) {
  return {table([field](int i) { return i % 4 == field; }),
          table([field](int i) { return i / 4 == field; })};
}

inline __m256i low_nibbles(__m256i q) { return _mm256_and_si256(q, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i q) { return low_nibbles(_mm256_srli_epi16(q, 4)); }
inline __m256i load(const void* from) { return _mm256_load_si256((const __m256i*)from); }
inline void store_step(int8_t* to, __m256i codes, __m256i nibbles) {
  _mm256_store_si256((__m256i*)to, _mm256_shuffle_epi8(codes, nibbles));
}

/// Steps of one block of ternary codes, `stride` bytes apart.
inline void unpack_block(__m256i q, const Tables& t, int8_t* to, int64_t stride) {
  const __m256i low = low_nibbles(q), high = high_nibbles(q);
  store_step(to, t.low, low);
  store_step(to + stride, t.high, low);
  store_step(to + 2 * stride, t.low, high);
  store_step(to + 3 * stride, t.high, high);
}

void unpack(GemmWeights kind, const uint8_t* packed, int64_t blocks, int64_t panels, int8_t* to) {
  if (kind == GemmWeights::ternary) {
    const Tables codes = code_tables();
    for (int64_t block = 0; block < blocks; ++block, to += 4 * panels * 32) {
      for (int64_t p = 0; p < panels; ++p, packed += 32) {
        unpack_block(load(packed), codes, to + p * 32, panels * 32);
      }
    }
  } else if (kind == GemmWeights::two_step) {
    const Tables positive = equal_tables(2), negative = equal_tables(0);
    for (int64_t block = 0; block < blocks; ++block, to += 8 * 32, packed += 32) {
      unpack_block(load(packed), positive, to, 64);
      unpack_block(load(packed), negative, to + 32, 64);
    }
  } else {
    const __m256i codes = table([](int i) { return i - 8; });
    for (int64_t block = 0; block < blocks; ++block, to += 2 * panels * 32) {
      for (int64_t p = 0; p < panels; ++p, packed += 32) {
        store_step(to + p * 32, codes, low_nibbles(load(packed)));
        store_step(to + (panels + p) * 32, codes, high_nibbles(load(packed)));
      }
    }
  }
}

/// Adds `steps` steps in s16.
template <int Panels, int Rows>
inline void add_steps(const int8_t* w, const uint8_t* x, int64_t x_step, int64_t steps,
                      __m256i (&narrow)[Rows][Panels]) {
  constexpr int kPointers = (Rows + 2) / 3;
  const uint8_t* at[kPointers];
#pragma GCC unroll 2
  for (int k = 0; k < kPointers; ++k) {
    at[k] = x + 3 * k * x_step;
    asm("" : "+r"(at[k]));
  }
  for (; steps > 0; --steps, w += Panels * 32) {
    __m256i v[Panels];
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) v[p] = load(w + p * 32);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      int32_t bytes;
      __builtin_memcpy(&bytes, at[r / 3] + r % 3 * x_step, 4);
      const __m256i b = _mm256_set1_epi32(bytes);
#pragma GCC unroll 2
      for (int p = 0; p < Panels; ++p) {
        narrow[r][p] = _mm256_add_epi16(narrow[r][p], _mm256_maddubs_epi16(b, v[p]));
      }
    }
#pragma GCC unroll 2
    for (int k = 0; k < kPointers; ++k) at[k] += 4;
  }
}

template <int Panels, int Rows>
void tile(const GemmTile& t) {
  const __m256i one = _mm256_set1_epi16(1);
  const int32_t* from = t.from;
  int64_t from_step = t.from_step, step = 0;
  do {  // also without a step: the sums are then where they start
    const int64_t left = t.steps - step, count = left < t.narrow_steps ? left : t.narrow_steps;
    __m256i narrow[Rows][Panels];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < Panels; ++p) narrow[r][p] = _mm256_setzero_si256();
    }
    add_steps<Panels, Rows>(t.w + step * Panels * 32, t.x + step * 4, t.x_step, count, narrow);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < Panels; ++p) {
        const auto* at = (const __m256i*)(from + r * from_step + p * kLanes);
        asm("" : "+x"(narrow[r][p]));  // else g++ keeps each sum of the loop twice, as two types
        const __m256i wide = _mm256_madd_epi16(narrow[r][p], one);
        _mm256_storeu_si256((__m256i*)(t.to + r * t.to_step + p * kLanes),
                            _mm256_add_epi32(_mm256_loadu_si256(at), wide));
      }
    }
    from = t.to, from_step = t.to_step;
    step += count;
  } while (step < t.steps);
}

void multiply(const GemmTile& t, int64_t panels, int64_t rows) {
  using Tile = void (*)(const GemmTile&);
  static constexpr Tile kTiles[][kTileRows] = {{tile<1, 1>, tile<1, 2>, tile<1, 3>, tile<1, 4>},
                                               {tile<2, 1>, tile<2, 2>, tile<2, 3>, tile<2, 4>}};
  kTiles[panels - 1][rows - 1](t);
}

int64_t multiply_packed(GemmWeights kind, const GemmTile& t, const uint8_t* packed, int64_t panels,
                        int64_t rows) {
  const int64_t done = rows < kTileRows ? rows : kTileRows;
  unpack(kind, packed, t.steps / (kind == GemmWeights::int4 ? 2 : 4), panels, t.w);
  multiply(t, kind == GemmWeights::two_step ? 2 : panels, done);
  return done;
}

inline void store_codes(__m256 t, float max_code, int64_t left, uint8_t* y) {
  store_bytes(low_bytes(codes_of(t, {1, 0, max_code})), left, y);
}

inline __m256 load_codes(const uint8_t* codes, int64_t left) {
  long long bytes = 0;
  if (left >= kLanes) {
    __builtin_memcpy(&bytes, codes, 8);
  } else {
    for (int64_t k = 0; k < left; ++k) bytes |= (long long)(codes[k]) << (8 * k);
  }
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes)));
}

/// One row of 8 outputs, `at` in the output arrays.
inline void finish_row(const GemmOutputs& o, const int32_t* sums, int64_t at, int64_t first,
                       int64_t left, __m256i mask) {
  const __m256i acc = _mm256_loadu_si256((const __m256i*)sums);
  if (o.acc) _mm256_maskstore_epi32(o.acc + at, mask, acc);
  __m256 t{};
  if (o.y) t = _mm256_maskload_ps(o.b + first, mask);
  if (o.two_step) {
    const __m256i negative = _mm256_loadu_si256((const __m256i*)(sums + kLanes));
    if (o.negative) _mm256_maskstore_epi32(o.negative + at, mask, negative);
    if (o.y) {
      const __m256 a_negative = _mm256_maskload_ps(o.a_negative + first, mask);
      t = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(negative), a_negative, t);
    }
  }
  if (!o.y) return;
  t = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), _mm256_maskload_ps(o.a + first, mask), t);
  if (o.residual) {
    t = _mm256_fmadd_ps(load_codes(o.residual + at, left), _mm256_set1_ps(o.r), t);
  }
  store_codes(t, o.max_code, left, o.y + at);
}

void finish(const GemmOutputs& o, const int32_t* sums, int64_t panels, int64_t row, int64_t rows,
            int64_t first) {
  const int64_t step = panels * kLanes;
  for (int64_t p = 0; p < (o.two_step ? 1 : panels); ++p, first += kLanes, sums += kLanes) {
    const int64_t left = o.n - first;
    if (left <= 0) return;
    const __m256i mask = lane_mask(left);
    for (int64_t i = 0; i < rows; ++i) {
      finish_row(o, sums + i * step, (row + i) * o.n + first, first, left, mask);
    }
  }
}

void fold(const GemmFold& f) {
  const int64_t parts = f.two_step ? 2 : 1, width = f.packed_panels * kLanes;
  for (int64_t p = 0; p < f.packed_panels; ++p) {
    const __m256i mask = lane_mask(f.outputs - p * kLanes);
    const __m256 a = _mm256_maskload_ps(f.a + p * kLanes, mask);
    __m256 a_negative{};
    if (f.two_step) a_negative = _mm256_maskload_ps(f.a_negative + p * kLanes, mask);
    const int32_t* sums = f.sums + p * parts * kLanes;
    float* value = f.values + p * kLanes;
    for (int64_t i = 0; i < f.rows; ++i, sums += parts * width, value += width) {
      const __m256i acc = _mm256_loadu_si256((const __m256i*)sums);
      const __m256i negative = _mm256_loadu_si256((const __m256i*)(sums + (parts - 1) * kLanes));
      f.two_step ? fold_value<true>(acc, negative, a, a_negative, value)
                 : fold_value<false>(acc, negative, a, a_negative, value);
    }
  }
}

void finish_values(const GemmOutputs& o, const float* values, int64_t packed_panels, int64_t row,
                   int64_t rows, int64_t first) {
  for (int64_t i = row; i < row + rows; ++i) {
    for (int64_t p = 0; p < packed_panels; ++p, values += kLanes) {
      const int64_t output = first + p * kLanes, at = i * o.n + output, left = o.n - output;
      if (left <= 0) continue;
      __m256 t = _mm256_loadu_ps(values);
      if (o.residual) {
        t = _mm256_fmadd_ps(load_codes(o.residual + at, left), _mm256_set1_ps(o.r), t);
      }
      if (o.value) _mm256_maskstore_ps(o.value + at, lane_mask(left), t);
      if (o.y) store_codes(t, o.max_code, left, o.y + at);
    }
  }
}

}  // namespace

const GemmIsa lowbit_gemm{
    .lanes = kLanes,
    .group_panels = 2,
    .tile_rows = {kTileRows, kTileRows},
    .gemv_rows = 2,
    .few_rows = 4,
    .copy = copy,
    .multiply_packed = multiply_packed,
    .multiply = multiply,
    .gemv = lowbit_gemv,
    .finish = finish,
    .quantize = quantize,
    .fold = fold,
    .finish_values = finish_values,
};

}  // namespace apprentice::kernels::avx2
