// What low-bit GEMM with AVX-512-VNNI does beside the products: rows of x as codes of the sign that
// the products take, and from sums to outputs.
#include <apprentice/kernels/cpu/lowbit_gemm_vnni_internal.h>

namespace apprentice::kernels::vnni {
namespace {

/// Codes of 16 numbers. Of vmaxps's operands the second comes through where one is NaN.
inline __m512i codes_of(__m512 x, const GemmGrid& grid) {
  const __m512 t = _mm512_mul_ps(x, _mm512_set1_ps(grid.inv_step));
  const __m512 floored = _mm512_max_ps(t, _mm512_set1_ps(grid.low));
  return _mm512_cvt_roundps_epi32(_mm512_min_ps(floored, _mm512_set1_ps(grid.high)),
                                  _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/// 64 numbers of s32 as bytes, s8 or u8, in order.
template <bool Signed>
inline __m512i narrow(const __m512i (&codes)[4]) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i low = _mm512_packs_epi32(codes[0], codes[1]);
  const __m512i high = _mm512_packs_epi32(codes[2], codes[3]);
  const __m512i bytes = Signed ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high);
  return _mm512_permutexvar_epi32(order, bytes);
}

/// Codes of 64 numbers, of which `mask` are there. Narrowing saturates, so that only the upper
/// bound is asked for before; what is no s32 becomes its least, and so does NaN.
template <bool Signed>
inline __m512i codes_of_64(const float* from, __mmask64 mask, const GemmGrid& grid) {
  const __m512 inv_step = _mm512_set1_ps(grid.inv_step), high = _mm512_set1_ps(grid.high);
  const __m512i low = _mm512_set1_epi8(char(int(grid.low)));
  __m512i codes[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    const __m512 x = _mm512_maskz_loadu_ps(__mmask16(mask >> (16 * p)), from + 16 * p);
    const __m512 t = _mm512_min_ps(high, _mm512_mul_ps(x, inv_step));
    codes[p] = _mm512_cvt_roundps_epi32(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  const __m512i bytes = narrow<Signed>(codes);
  return Signed ? _mm512_max_epi8(bytes, low) : _mm512_max_epu8(bytes, low);
}

template <bool Signed>
void quantize(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip, uint8_t* to) {
  const __m512i bits = _mm512_set1_epi8(char(flip));
  int64_t k = 0;
  for (; k + 64 <= count; k += 64) {
    const __m512i codes = codes_of_64<Signed>(from + k, ~0ull, grid);
    _mm512_storeu_si512(to + k, _mm512_xor_si512(codes, bits));
  }
  if (k == count) return;
  const __mmask64 rest = (1ull << (count - k)) - 1;
  const __m512i codes = codes_of_64<Signed>(from + k, rest, grid);
  _mm512_mask_storeu_epi8(to + k, rest, _mm512_xor_si512(codes, bits));
}

/// Codes of some rows of 16 outputs, whose sums are `step` numbers apart.
template <bool TwoStep, bool Shortcut>
void store_codes(const GemmOutputs& o, const int32_t* sums, int64_t step, int64_t row, int64_t rows,
                 int64_t first, __mmask16 mask) {
  const __m512 a = _mm512_maskz_loadu_ps(mask, o.a + first);
  const __m512 b = _mm512_maskz_loadu_ps(mask, o.b + first);
  __m512 a_negative{};
  if (TwoStep) a_negative = _mm512_maskz_loadu_ps(mask, o.a_negative + first);
  const __m512 r = _mm512_set1_ps(o.r), max_code = _mm512_set1_ps(o.max_code);
  for (int64_t i = 0; i < rows; ++i, sums += step) {
    const int64_t at = (row + i) * o.n + first;
    __m512 t = b;
    if (TwoStep) {
      const __m512i negative = _mm512_loadu_si512(sums + kLanes);
      t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative), a_negative, t);
    }
    t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums)), a, t);
    if (Shortcut) {
      const __m128i code = _mm_maskz_loadu_epi8(mask, o.residual + at);
      t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t);
    }
    t = _mm512_min_ps(_mm512_max_ps(t, _mm512_setzero_ps()), max_code);
    const __m512i code = _mm512_cvt_roundps_epi32(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_mask_storeu_epi8(o.y + at, mask, _mm512_cvtepi32_epi8(code));
  }
}

/// Codes of 64 outputs of one step. Narrowing saturates, so that only the upper bound is asked for;
/// what is no s32 becomes its least, and so does NaN: code 0.
template <bool Shortcut>
void store_64_codes(const GemmOutputs& o, const int32_t* sums, int64_t row, int64_t rows,
                    int64_t first) {
  const __m512 r = _mm512_set1_ps(o.r), max_code = _mm512_set1_ps(o.max_code);
  __m512 a[4], b[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    a[p] = _mm512_loadu_ps(o.a + first + p * kLanes);
    b[p] = _mm512_loadu_ps(o.b + first + p * kLanes);
  }
  for (int64_t i = 0; i < rows; ++i, sums += 4 * kLanes) {
    const int64_t at = (row + i) * o.n + first;
    __m512i codes[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + p * kLanes));
      __m512 t = _mm512_fmadd_ps(sum, a[p], b[p]);
      if (Shortcut) {
        const __m128i code = _mm_loadu_si128((const __m128i*)(o.residual + at + p * kLanes));
        t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t);
      }
      codes[p] = _mm512_cvt_roundps_epi32(_mm512_min_ps(max_code, t),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
    _mm512_storeu_si512(o.y + at, narrow<false>(codes));
  }
}

template <bool TwoStep>
void fold(const GemmFold& f) {
  constexpr int64_t kParts = TwoStep ? 2 : 1;
  const int64_t width = f.packed_panels * kLanes;
  for (int64_t p = 0; p < f.packed_panels; ++p) {
    const __mmask16 mask = lanes_of(f.outputs - p * kLanes);
    const __m512 a = _mm512_maskz_loadu_ps(mask, f.a + p * kLanes);
    __m512 a_negative{};
    if (TwoStep) a_negative = _mm512_maskz_loadu_ps(mask, f.a_negative + p * kLanes);
    const int32_t* sums = f.sums + p * kParts * kLanes;
    float* value = f.values + p * kLanes;
    for (int64_t i = 0; i < f.rows; ++i, sums += kParts * width, value += width) {
      const __m512i negative = _mm512_loadu_si512(sums + (kParts - 1) * kLanes);
      fold_value<TwoStep>(_mm512_loadu_si512(sums), negative, a, a_negative, value);
    }
  }
}

}  // namespace

void lowbit_gemm_copy(const uint8_t* from, int64_t count, uint8_t flip, uint8_t* to) {
  const __m512i bits = _mm512_set1_epi8(char(flip));
  int64_t k = 0;
  for (; k + 64 <= count; k += 64) {
    _mm512_storeu_si512(to + k, _mm512_xor_si512(_mm512_loadu_si512(from + k), bits));
  }
  const __mmask64 rest = (1ull << (count - k)) - 1;
  const __m512i last = _mm512_maskz_loadu_epi8(rest, from + k);
  _mm512_mask_storeu_epi8(to + k, rest, _mm512_xor_si512(last, bits));
}

void lowbit_gemm_quantize(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip,
                          uint8_t* to) {
  (grid.low < 0 ? quantize<true> : quantize<false>)(from, count, grid, flip, to);
}

void lowbit_gemm_finish(const GemmOutputs& o, const int32_t* sums, int64_t panels, int64_t row,
                        int64_t rows, int64_t first) {
  const int64_t step = panels * kLanes, parts = o.two_step ? 2 : 1;
  if (!o.acc && !o.two_step && panels == 4 && first + step <= o.n) {
    return (o.residual ? store_64_codes<true> : store_64_codes<false>)(o, sums, row, rows, first);
  }
  for (int64_t p = 0; p < panels; p += parts, first += kLanes, sums += parts * kLanes) {
    const int64_t left = o.n - first;
    const auto mask = __mmask16(left >= kLanes ? 0xffff : (1u << left) - 1);
    const auto store = [&](int32_t* to, const int32_t* from) {
      for (int64_t i = 0; i < rows; ++i) {
        _mm512_mask_storeu_epi32(to + (row + i) * o.n + first, mask,
                                 _mm512_loadu_si512(from + i * step));
      }
    };
    if (o.acc) store(o.acc, sums);
    if (o.two_step && o.negative) store(o.negative, sums + kLanes);
    if (!o.y) continue;
    const auto codes = o.two_step ? o.residual ? store_codes<true, true> : store_codes<true, false>
                       : o.residual ? store_codes<false, true>
                                    : store_codes<false, false>;
    codes(o, sums, step, row, rows, first, mask);
  }
}

void lowbit_gemm_fold(const GemmFold& f) { (f.two_step ? fold<true> : fold<false>)(f); }

void lowbit_gemm_finish_values(const GemmOutputs& o, const float* values, int64_t packed_panels,
                               int64_t row, int64_t rows, int64_t first) {
  const __m512 r = _mm512_set1_ps(o.r);
  const GemmGrid grid{1, 0, o.max_code};
  for (int64_t i = row; i < row + rows; ++i) {
    for (int64_t p = 0; p < packed_panels; ++p, values += kLanes) {
      const int64_t output = first + p * kLanes, at = i * o.n + output;
      const __mmask16 mask = lanes_of(o.n - output);
      __m512 t = _mm512_loadu_ps(values);
      if (o.residual) {
        const __m128i code = _mm_maskz_loadu_epi8(mask, o.residual + at);
        t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t);
      }
      if (o.value) _mm512_mask_storeu_ps(o.value + at, mask, t);
      if (o.y) _mm_mask_storeu_epi8(o.y + at, mask, _mm512_cvtepi32_epi8(codes_of(t, grid)));
    }
  }
}

}  // namespace apprentice::kernels::vnni
