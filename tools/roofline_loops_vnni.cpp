// Peak loops of AVX-512-VNNI: 12 independent chains hide the latency of both ports.
#include <immintrin.h>

#include <apprentice/tools/roofline_loops_internal.h>

namespace apprentice::tools::vnni {
namespace {

constexpr int kChains = 12;

/// Keeps the compiler from leaving out what nobody reads.
template <class Register>
inline void keep(Register& value) {
  asm volatile("" : "+v"(value));
}

int64_t int8_loop(int64_t rounds) {
  __m512i acc[kChains], x = _mm512_set1_epi8(3), w = _mm512_set1_epi8(1);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_epi32(i);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_dpbusd_epi32(acc[i], x, w);
      keep(acc[i]);
    }
  }
  return rounds * kChains * 64 * 2;
}

int64_t f32_loop(int64_t rounds) {
  __m512 acc[kChains], x = _mm512_set1_ps(0.999f), w = _mm512_set1_ps(1e-3f);
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(float(i));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_fmadd_ps(acc[i], x, w);
      keep(acc[i]);
    }
  }
  return rounds * kChains * 16 * 2;
}

void read_loop(const void* memory, int64_t bytes) {
  __m512i acc[8] = {};
  const auto* at = static_cast<const __m512i*>(memory);
  for (int64_t block = 0; block < bytes / 512; ++block, at += 8) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) acc[i] = _mm512_or_si512(acc[i], _mm512_load_si512(at + i));
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) keep(acc[i]);
}

}  // namespace

const RooflineLoops roofline_loops = {int8_loop, f32_loop, read_loop};

}  // namespace apprentice::tools::vnni
