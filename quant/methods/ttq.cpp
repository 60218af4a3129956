#include <algorithm>
#include <array>
#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize.h>
#include <apprentice/quant/quantizer.h>
#include <apprentice/quant/weight_rows_internal.h>

namespace apprentice::quant {
namespace {

/// Part of max |w| that a weight must exceed not to become 0 (Zhu et al. 2017, eq. 9).
constexpr double kThreshold = 0.05;

/// Gradients of wq to w, w+ and w-.
std::vector<Tensor> gradients(const Tensor& codes, const Tensor& positive, const Tensor& negative,
                              const Tensor& grad_wq) {
  Tensor grad_w = codes.new_empty(codes.shape());
  Tensor grad_positive = codes.new_empty({1}), grad_negative = codes.new_empty({1});
  const std::array<int64_t, 2> row{1, codes.numel()};
  kernels::launch<kernels::TrainedTernaryBackward<float>>(
      {codes.as<float>(row), grad_wq.as<float>(row), positive.view<float, 1>(),
       negative.view<float, 1>(), grad_w.as<float>(row), grad_positive.view<float, 1>(),
       grad_negative.view<float, 1>()},
      current_stream(codes.device()));
  return {grad_w, grad_positive, grad_negative};
}

/// Trained ternary quantization, one pair of learned steps a layer: t = 0.05 max|w|;
///   wq = w+ where w > t, -w- where w < -t, else 0.
/// w+ and w- are the layer's parameters `weight_scale` and `weight_scale_neg` [1], at first the
/// mean |w| of their side (1 if it is empty), unconstrained after. Train mode gives wq itself (two
/// convolutions would double its cost), eval mode codes and two steps.
/// - Error: at most t where |w| <= t, else max(|w' - t|, ||w| - w'|) with w' the learned step.
/// - Surrogate gradient, eq. 7 and 8 (with the minus that eq. 7 leaves out, as in the authors'
/// code):
///   dL/dw+ = sum of dL/dwq over code +1, dL/dw- = -(sum over code -1), dL/dw = dL/dwq times w+, 1
///   or w- where the code is +1, 0 or -1; nothing flows through t.
/// - Packed: 2 bits a code, w+ and w- f32 [1].
/// - Source: Zhu, Han, Mao, Dally 2017, arXiv:1612.01064, eq. 6-9.
class Ttq final : public WeightQuantizer {
 public:
  std::string_view name() const override { return "ttq"; }
  int bits() const override { return 2; }
  std::string grid() const override {
    return "{-w-, 0, +w+}, learned, zero where |w| <= 0.05 max|w|";
  }

  std::optional<WeightRule> rule() const override {
    return WeightRule{kernels::QuantizeWeights::Rule::max, kThreshold};
  }

  Tensor error_bound(const Tensor& w) const override {
    const auto t = float(kThreshold * abs_max(w, false).item());
    const auto positive = float(positive_.item()), negative = float(negative_.item());
    return map_rows(w, false, [=](int64_t, float value) {
      const float size = std::abs(value), scale = value > 0 ? positive : negative;
      return size <= t ? t : std::max(std::abs(scale - t), std::abs(size - scale));
    });
  }

  void attach(nn::Module& layer) override {
    positive_ = layer.add_parameter("weight_scale", positive_);
    negative_ = layer.add_parameter("weight_scale_neg", negative_);
  }
  /// Brings the mean |w| beyond the threshold to 1, so that w+ and w- start there, as in the
  /// authors' code. Without it they start near 0.05, where their gradients are 20 times larger and
  /// they themselves 20 times smaller: at the learning rate of scheme C the loss went from 1.1
  /// to 2.3 in ten steps. It also makes the factors of eq. 8 all of one size.
  bool wants_rescale() const override { return true; }
  float gain(const Tensor& w) const override {
    const auto mean = float(rows_of(w).nonzero_mean.item());
    return mean > 0 ? 1 / mean : 1;
  }
  void initialise(const Tensor& w) override {
    const TernaryRows rows = rows_of(w);
    const double positive = rows.positive_mean.item(), negative = rows.negative_mean.item();
    positive_.fill(positive > 0 ? positive : 1);
    negative_.fill(negative > 0 ? negative : 1);
  }
  std::vector<std::string> learned() const override { return {"weight_scale", "weight_scale_neg"}; }

  nn::EffectiveWeight apply(const Tensor& parameter, bool training) const override {
    const QuantizedWeight q = quantized(parameter.detach());
    if (!training) return {q.codes, q.scale, q.scale_negative, q.max_code};
    return {record("trained_ternary", dequantize(q), {parameter, positive_, negative_},
                   [codes = Saved(q.codes), positive = Saved(q.scale),
                    negative = Saved(q.scale_negative)](const Tensor& grad_wq) {
                     return gradients(codes.get(), positive.get(), negative.get(), grad_wq);
                   }),
            {},
            {},
            0};
  }

 protected:
  QuantizedWeight of_codes(const Tensor& codes, const Tensor&) const override {
    return {codes, positive_.detach(), negative_.detach(), 1};
  }

 private:
  static TernaryRows rows_of(const Tensor& w) {
    return ternarize(w, false, abs_max(w, false), kThreshold);
  }

  Tensor positive_ = Tensor::full({1}, 1), negative_ = Tensor::full({1}, 1);
};

}  // namespace
}  // namespace apprentice::quant

APPRENTICE_UNIT(ttq) {
  using namespace apprentice::quant;
  quantizers().add(
      "ttq", {.bits = {2}, .make = [](const WeightOptions&) { return std::make_shared<Ttq>(); }});
}
