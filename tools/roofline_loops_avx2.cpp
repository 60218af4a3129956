// Peak loops of AVX2: 12 independent chains hide the latency of both ports.
#include <immintrin.h>

#include <apprentice/tools/roofline_loops_internal.h>

namespace apprentice::tools::avx2 {
namespace {

constexpr int kChains = 12;

/// Keeps the compiler from leaving out what nobody reads.
template <class Register>
inline void keep(Register& value) {
  asm volatile("" : "+x"(value));
}

/// u8 x s8 to pairs in s16, pairs to s32, added: what exact 8-bit sums cost without vpdpbusd.
int64_t int8_loop(int64_t rounds) {
  __m256i acc[kChains], x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(1);
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) acc[i] = _mm256_set1_epi32(i);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      keep(x);
      acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones));
      keep(acc[i]);
    }
  }
  return rounds * kChains * 32 * 2;
}

int64_t f32_loop(int64_t rounds) {
  __m256 acc[kChains], x = _mm256_set1_ps(0.999f), w = _mm256_set1_ps(1e-3f);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) acc[i] = _mm256_set1_ps(float(i));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm256_fmadd_ps(acc[i], x, w);
      keep(acc[i]);
    }
  }
  return rounds * kChains * 8 * 2;
}

void read_loop(const void* memory, int64_t bytes) {
  __m256i acc[8] = {};
  const auto* at = static_cast<const __m256i*>(memory);
  for (int64_t block = 0; block < bytes / 256; ++block, at += 8) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) acc[i] = _mm256_or_si256(acc[i], _mm256_load_si256(at + i));
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) keep(acc[i]);
}

}  // namespace

const RooflineLoops roofline_loops = {int8_loop, f32_loop, read_loop};

}  // namespace apprentice::tools::avx2
