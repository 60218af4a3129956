#pragma once

#include <algorithm>
#include <cstring>
#include <memory>

#include <apprentice/base/buffer.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/lowbit_gemm_panels_internal.h>

namespace apprentice::kernels {

/// Memory of one thread that grows and stays.
class GemmScratch {
 public:
  template <class T>
  T* get(int64_t count) {
    const auto bytes = size_t(count) * sizeof(T);
    if (!memory_ || memory_->bytes() < bytes) memory_ = std::make_unique<Buffer>(bytes);
    return static_cast<T*>(memory_->data());
  }

 private:
  std::unique_ptr<Buffer> memory_;
};

/// The outputs of the Args of a LowbitGemm.
template <class Args>
GemmOutputs gemm_outputs(const Args& args) {
  const Epilogue& e = args.epilogue;
  return {.n = args.weight.rows,
          .two_step = args.two_step,
          .acc = args.acc.data,
          .negative = args.acc_negative.data,
          .y = args.y.data,
          .residual = args.residual.data,
          .a = e.a.data,
          .a_negative = e.a_negative.data,
          .b = e.b.data,
          .r = e.r,
          .max_code = float(e.max_code),
          .value = args.value.data};
}

/// A launch of LowbitGemm, its types resolved. A group is one of panels; columns with a scale of
/// their own are a span.
struct GemmProblem {
  const uint8_t* x;     ///< [m, k], u8 or s8, or null
  const float* real_x;  ///< in its place
  GemmGrid grid;
  bool x_signed;
  int64_t m, k;
  GemmWeights kind;
  const GemmPanels* weights;
  const GemmIsa* isa;
  const float *span_a, *span_a_negative;  ///< [spans][n], or null where sums are not folded
  GemmOutputs outputs;

  /// Do tiles take x with the sign bit turned?
  bool flips() const { return x_signed != isa->signed_x; }
  int64_t block_depth() const { return kind == GemmWeights::int4 ? 8 : 16; }
  /// Columns of all blocks.
  int64_t columns() const { return weights->blocks * block_depth(); }
  int64_t spans() const { return std::max<int64_t>(1, (k + span() - 1) / span()); }
  int64_t span() const { return weights->span; }
  bool folds() const { return span_a != nullptr; }
  /// 2 * 255 * 1 * 64 and 2 * 255 * 8 * 8 are 32640 each.
  int64_t narrow_steps() const { return kind == GemmWeights::int4 ? 8 : 64; }
  /// Panels of sums that a packed panel gives.
  int64_t parts() const { return kind == GemmWeights::two_step ? 2 : 1; }
  /// Panels of a group's sums, and numbers of a row of them.
  int64_t panels(int64_t group) const { return weights->width(group) * parts(); }
  int64_t width(int64_t group) const { return panels(group) * isa->lanes; }
  /// Outputs of a group, those behind the last included.
  int64_t outputs_of(int64_t group) const { return weights->width(group) * isa->lanes; }
  /// The most rows of a tile of a whole group.
  int64_t tile_rows() const { return isa->tile_rows[isa->group_panels - 1]; }
  int64_t first_output(int64_t group) const {
    return group * weights->group_panels * weights->lanes;
  }
  const int32_t* start(int64_t span, int64_t group) const {
    const int64_t outputs = span * weights->panels * weights->lanes + first_output(group);
    return weights->start.data() + outputs * parts();
  }

  /// Prepares rows of x, `step` bytes apart: as codes, each byte xor `flip`, and zeros behind.
  void prepare_rows(int64_t row, int64_t rows, uint8_t flip, int64_t step, uint8_t* to) const {
    for (int64_t i = row; i < row + rows; ++i, to += step) {
      if (real_x) {
        isa->quantize(real_x + i * k, k, grid, flip, to);
      } else {
        isa->copy(x + i * k, k, flip, to);
      }
      std::memset(to + k, 0, size_t(step - k));
    }
  }
  /// Adds a span's sums to the values of some rows of a group.
  void fold(const int32_t* sums, int64_t span, int64_t group, int64_t rows, float* values) const {
    const int64_t first = first_output(group), at = span * outputs.n + first;
    isa->fold({sums, weights->width(group), rows, outputs.two_step, span_a + at,
               span_a_negative ? span_a_negative + at : nullptr, outputs.n - first, values});
  }
  /// Where the values of some rows of a group start.
  void start_values(int64_t group, int64_t rows, float* values) const {
    const int64_t first = first_output(group), width = outputs_of(group);
    const int64_t count = outputs.b ? std::min(width, outputs.n - first) : 0;
    for (int64_t i = 0; i < rows; ++i, values += width) {
      std::copy_n(outputs.b + first, count, values);
      std::fill(values + count, values + width, 0.0f);
    }
  }
};

alignas(64) inline constexpr int32_t kGemmZeros[kMostPanels * 16] = {};

}  // namespace apprentice::kernels
