#include <algorithm>
#include <optional>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/kernels/count.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize.h>
#include <apprentice/quant/activation_quantizer.h>
#include <apprentice/quant/percentile_internal.h>

namespace apprentice::quant {
namespace {

/// Part of the outputs that the range covers (docs/numerics.md).
constexpr double kCovered = 0.999;
/// Parts in which CountCodes counts: blocks of a device that work side by side.
constexpr int64_t kParts = 64;

kernels::Number<float> number(const Tensor& one) {
  return kernels::Number<float>::in(one.flat<float>().data);
}

/// `codes` as a function of x, whose gradient passes from `least` to `most`.
Tensor record_codes(const Tensor& codes, const Tensor& x, const Tensor& inverse,
                    const Tensor& least, const Tensor& most) {
  return record("quantize_activation", codes, {x},
                [x = Saved(x), inverse, least, most](const Tensor& grad_codes) {
                  Tensor grad = grad_codes.new_empty(grad_codes.shape());
                  kernels::launch<kernels::QuantizeUniformBackward<float>>(
                      {x.get().flat<float>(), grad_codes.flat<float>(), grad.flat<float>(),
                       number(least), number(most), number(inverse)},
                      current_stream(grad.device()));
                  return std::vector<Tensor>{grad};
                });
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
    const double low = -double(zero_point_), top = double(levels());
    const Stream stream = current_stream(real.device());
    // By operations, so that no host reads the step.
    const Tensor inverse = (step_ / step_) / step_, least = step_ * low, most = step_ * top;
    Tensor codes = real.new_empty(real.shape());
    kernels::launch<kernels::QuantizeUniform<float>>(
        {real.flat<float>(), codes.flat<float>(), number(inverse), float(low), float(top)}, stream);
    count_edges(codes, zero_point_ ? float(low) : float(top), float(top));
    if (zero_point_) codes = codes + double(zero_point_);
    return {record_codes(codes, real, inverse, least, most), step_, max_code(), zero_point_};
  }
  bool uniform() const override { return zero_point_ == 0; }
  void applied(const Tensor& codes) override {
    count_edges(codes, float(levels()), float(levels()));
  }
  Tensor step() const override { return step_; }
  int64_t max_code() const override { return levels() + zero_point_; }
  int64_t zero_point() const override { return zero_point_; }
  double saturated() const override {
    double count = 0;
    if (counts_.defined())
      for (const double part : counts_.to_vector<double>()) count += part;
    return sampled_ ? count / double(sampled_) : 0;
  }

  void begin_calibration(int64_t values) override { tail_.emplace(kCovered, values); }
  void observe(const Tensor& real) override {
    const Tensor size = (zero_point_ ? abs(real) : real).to(Device{});
    tail_->add(size.data<float>(), size.numel());
  }
  void finish_calibration() override {
    const float r = tail_->value();
    tail_.reset();
    step_.fill((r > 0 ? r : 1.0f) / float(levels()));
  }

 private:
  /// For saturated(): a sample is enough for a rate, and next to free.
  void count_edges(const Tensor& codes, float low, float top) {
    counts_ = codes.new_empty({kParts}, Dtype::f32);
    sampled_ = kernels::CountCodes<float>::sampled(codes.numel());
    const auto count = [&]<class T>() {
      kernels::launch<kernels::CountCodes<T>>({codes.flat<T>(), low, top, counts_.view<float, 1>()},
                                              current_stream(codes.device()));
    };
    codes.dtype() == Dtype::bf16 ? count.template operator()<Bf16>()
                                 : count.template operator()<float>();
  }

  /// The highest code, counted from the zero point.
  int64_t levels() const { return (int64_t(1) << bits_) - 1 - zero_point_; }

  int bits_;
  int64_t zero_point_;
  Tensor step_;
  Tensor counts_;  ///< codes on an edge, of `sampled_` ones of the last training forward
  int64_t sampled_ = 0;
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
