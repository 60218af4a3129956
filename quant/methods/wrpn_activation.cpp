#include <algorithm>
#include <optional>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize.h>
#include <apprentice/quant/activation_quantizer.h>
#include <apprentice/quant/percentile_internal.h>

namespace apprentice::quant {
namespace {

/// Part of the outputs that the range covers (docs/numerics.md).
constexpr double kCovered = 0.999;
/// saturated() looks at one block in so many: enough for a rate, and next to free.
constexpr int64_t kBlock = 64, kStride = 16 * kBlock;

View1<const float> flat(const Tensor& x) { return {x.data<float>(), {x.numel()}}; }
View1<float> flat(Tensor& x) { return {x.data<float>(), {x.numel()}}; }

double rate_of(float low, float top, const Tensor& codes) {
  int64_t seen = 0, equal = 0;
  const float* value = codes.data<float>();
  for (int64_t at = 0, n = codes.numel(); at < n; at += kStride) {
    const int64_t end = std::min(at + kBlock, n);
    for (int64_t i = at; i < end; ++i) equal += value[i] == top || value[i] == low;
    seen += end - at;
  }
  return seen ? double(equal) / double(seen) : 0;
}

void shift(Tensor& codes, float by) {
  float* code = codes.data<float>();
  for (int64_t i = 0, n = codes.numel(); i < n; ++i) code[i] += by;
}

/// WRPN activations of k bits on a range [0, r]: code = rint(clip(x, 0, r) / step),
/// step = r / (2^k - 1), half to even. `act_scale` holds the step; r = 1 until it is calibrated to
/// the 99.9th percentile of the layer's outputs, exact (linear between neighbours).
/// Signed outputs have the range [-r - step, r], step = r / (2^(k-1) - 1), r the percentile of |x|:
/// code = 2^(k-1) + rint(clip(x, -r - step, r) / step).
/// - Error: at most step/2 inside the range.
/// - Surrogate gradient: clipped straight-through, d(step code)/dx = 1 inside the range, else 0;
/// the
///   step is not differentiated.
/// - Source: Mishra et al. 2018, arXiv:1709.01134, section 5; the range: docs/numerics.md.
class WrpnActivation final : public ActivationQuantizer {
 public:
  explicit WrpnActivation(const ActivationOptions& options)
      : bits_(options.bits),
        zero_point_(options.is_signed ? int64_t(1) << (bits_ - 1) : 0),
        step_(Tensor::full({1}, 1.0 / double(levels()))) {}

  std::string_view name() const override { return "wrpn"; }
  int bits() const override { return bits_; }
  std::string grid() const override {
    return fmt::format("step {{{}, ..., {}}}, step = r / {}, r the 99.9th percentile", -zero_point_,
                       levels(), levels());
  }
  void attach(Tensor act_scale) override { step_ = std::move(act_scale); }

  nn::Scaled apply(const Tensor& real) override {
    const auto step = float(step_.item());
    const float inverse = 1 / step, low = -float(zero_point_), top = float(levels());
    Tensor codes = Tensor::empty(real.shape());
    kernels::launch<kernels::QuantizeUniform<float>>({flat(real), flat(codes), inverse, low, top});
    saturated_ = rate_of(zero_point_ ? low : top, top, codes);
    if (zero_point_) shift(codes, float(zero_point_));
    return {record("quantize_activation", codes, {real},
                   [x = Saved(real), inverse, least = step * low,
                    most = step * top](const Tensor& grad_codes) {
                     Tensor grad = Tensor::empty(x.get().shape());
                     kernels::launch<kernels::QuantizeUniformBackward<float>>(
                         {flat(x.get()), flat(grad_codes), flat(grad), least, most, inverse});
                     return std::vector<Tensor>{grad};
                   }),
            step_, max_code(), zero_point_};
  }
  bool uniform() const override { return zero_point_ == 0; }
  void applied(const Tensor& codes) override {
    saturated_ = rate_of(float(levels()), float(levels()), codes);
  }
  Tensor step() const override { return step_; }
  int64_t max_code() const override { return levels() + zero_point_; }
  int64_t zero_point() const override { return zero_point_; }
  double saturated() const override { return saturated_; }

  void begin_calibration(int64_t values) override { tail_.emplace(kCovered, values); }
  void observe(const Tensor& real) override {
    if (!zero_point_) return tail_->add(real.data<float>(), real.numel());
    const Tensor size = abs(real);
    tail_->add(size.data<float>(), size.numel());
  }
  void finish_calibration() override {
    const float r = tail_->value();
    tail_.reset();
    step_.fill((r > 0 ? r : 1.0f) / float(levels()));
  }

 private:
  /// The highest code, counted from the zero point.
  int64_t levels() const { return (int64_t(1) << bits_) - 1 - zero_point_; }

  int bits_;
  int64_t zero_point_;
  Tensor step_;
  double saturated_ = 0;
  std::optional<Percentile> tail_;
};

}  // namespace
}  // namespace apprentice::quant

APPRENTICE_UNIT(wrpn_activation) {
  using namespace apprentice::quant;
  activation_quantizers().add("wrpn", {.bits = {2, 3, 4, 5, 6, 7, 8},
                                       .is_signed = true,
                                       .make = [](const ActivationOptions& options) {
                                         return std::make_shared<WrpnActivation>(options);
                                       }});
}
