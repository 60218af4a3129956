// NEON kernel of low-bit GEMV, with the dot product of Armv8.2: packed weights stream through once.
// A table lookup makes bytes of the fields of 16 packed bytes, and sdot multiplies each, 4 outputs
// by 4 columns, with 4 bytes of signed x.
#include <arm_neon.h>

#include <apprentice/kernels/cpu/lowbit_epilogue_neon_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_neon_internal.h>

namespace apprentice::kernels::neon {
namespace {

constexpr int64_t kAhead = 1024;  ///< bytes of weights asked for before they are needed
constexpr int kMostRows = 4;

/// Panels of sums of a group of Packed panels, for Rows rows.
template <GemmWeights Kind, int Packed, int Rows>
struct Block {
  using Of = Codes<Kind>;
  static constexpr int kPanels = Packed * Of::sums;
  int32x4_t sums[Rows][kPanels];

  template <int Field>
  void add_field(const Of& codes, const Nibbles& q, int panel, const int8x16_t (&x)[Rows]) {
    if constexpr (Field < Of::fields) {
#pragma GCC unroll 2
      for (int s = 0; s < Of::sums; ++s) {
        const int8x16_t v = codes.of(q, Field, s);
        const int at = panel * Of::sums + s;
#pragma GCC unroll 4
        for (int r = 0; r < Rows; ++r) {
          sums[r][at] = vdotq_laneq_s32(sums[r][at], v, x[r], Field);
        }
      }
    }
  }

  void add(const Of& codes, const uint8_t* w, const int8_t* from, int64_t x_step) {
    int8x16_t x[Rows];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      if constexpr (Of::fields == 4) {
        x[r] = vld1q_s8(from + r * x_step);
      } else {
        x[r] = vcombine_s8(vld1_s8(from + r * x_step), vdup_n_s8(0));
      }
    }
    __builtin_prefetch(w + kAhead);
#pragma GCC unroll 4
    for (int p = 0; p < Packed; ++p) {
      const Nibbles q = nibbles(vld1q_u8(w + p * 16));
      add_field<0>(codes, q, p, x);
      add_field<1>(codes, q, p, x);
      add_field<2>(codes, q, p, x);
      add_field<3>(codes, q, p, x);
    }
  }
};

template <GemmWeights Kind, int Packed, int Rows>
void run(const GemvTile& t) {
  using Own = Block<Kind, Packed, Rows>;
  const typename Own::Of codes;
  Own block;
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < Own::kPanels; ++p) block.sums[r][p] = vld1q_s32(t.from + p * kLanes);
  }
  const uint8_t* w = t.w;
  const int8_t* x = t.x;
  for (int64_t left = t.blocks; left > 0; --left, w += Packed * 16, x += Own::Of::fields * 4) {
    block.add(codes, w, x, t.x_step);
  }
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < Own::kPanels; ++p) {
      vst1q_s32(t.to + (r * Own::kPanels + p) * kLanes, block.sums[r][p]);
    }
  }
}

using Run = void (*)(const GemvTile&);
template <GemmWeights Kind, int Packed>
constexpr Run kRuns[kMostRows] = {run<Kind, Packed, 1>, run<Kind, Packed, 2>, run<Kind, Packed, 3>,
                                  run<Kind, Packed, 4>};

void multiply(GemmWeights kind, const GemvTile& t, int64_t packed_panels, int64_t rows) {
  constexpr auto kTernary = GemmWeights::ternary, kTwoStep = GemmWeights::two_step;
  constexpr auto kInt4 = GemmWeights::int4;
  static constexpr const Run* kTable[][kMostPanels] = {
      {kRuns<kTernary, 1>, kRuns<kTernary, 2>, kRuns<kTernary, 3>, kRuns<kTernary, 4>},
      {kRuns<kTwoStep, 1>, kRuns<kTwoStep, 2>},
      {kRuns<kInt4, 1>, kRuns<kInt4, 2>, kRuns<kInt4, 3>, kRuns<kInt4, 4>}};
  kTable[int(kind)][packed_panels - 1][rows - 1](t);
}

/// Sums of each span are added to the values, with the span's constants.
void fold_spans(GemmWeights kind, const GemvTile& t, int64_t packed_panels, int64_t rows) {
  int32_t sums[kMostRows * kMostPanels * kLanes];
  const int64_t fields = kind == GemmWeights::int4 ? 2 : 4;
  GemmFold folding{sums, packed_panels, rows,      kind == GemmWeights::two_step,
                   t.a,  t.a_negative,  t.outputs, t.values};
  GemvTile span = t;
  span.to = sums;
  for (int64_t block = 0; block < t.blocks; block += t.span_blocks) {
    span.blocks = t.blocks - block < t.span_blocks ? t.blocks - block : t.span_blocks;
    multiply(kind, span, packed_panels, rows);
    fold(folding);
    span.x += span.blocks * fields * 4;
    span.w += span.blocks * packed_panels * 16;
    span.from += t.from_step;
    folding.a += t.a_step;
    if (folding.two_step) folding.a_negative += t.a_step;
  }
}

}  // namespace

void lowbit_gemv(GemmWeights kind, const GemvTile& t, int64_t packed_panels, int64_t rows) {
  (t.values ? fold_spans : multiply)(kind, t, packed_panels, rows);
}

}  // namespace apprentice::kernels::neon
