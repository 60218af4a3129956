#include <algorithm>
#include <optional>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
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

double rate_of(float code, const Tensor& codes) {
  int64_t seen = 0, equal = 0;
  const float* value = codes.data<float>();
  for (int64_t at = 0, n = codes.numel(); at < n; at += kStride) {
    const int64_t end = std::min(at + kBlock, n);
    for (int64_t i = at; i < end; ++i) equal += value[i] == code;
    seen += end - at;
  }
  return seen ? double(equal) / double(seen) : 0;
}

/// WRPN activations of k bits on a range [0, r]: code = rint(clip(x, 0, r) / step),
/// step = r / (2^k - 1), half to even. `act_scale` holds the step; r = 1 until it is calibrated to
/// the 99.9th percentile of the layer's outputs, exact (linear between neighbours).
/// - Error: at most step/2 where 0 <= x <= r.
/// - Surrogate gradient: clipped straight-through, d(step code)/dx = 1 where 0 <= x <= r, else 0; the
///   step is not differentiated.
/// - Source: Mishra et al. 2018, arXiv:1709.01134, section 5; the range: docs/numerics.md.
class WrpnActivation final : public ActivationQuantizer {
 public:
  explicit WrpnActivation(int bits) : bits_(bits), step_(Tensor::full({1}, 1.0 / levels())) {}

  std::string_view name() const override { return "wrpn"; }
  int bits() const override { return bits_; }
  std::string grid() const override {
    return fmt::format("step {{0, ..., {}}}, step = r / {}, r the 99.9th percentile", levels(),
                       levels());
  }
  void attach(Tensor act_scale) override { step_ = std::move(act_scale); }

  nn::Scaled apply(const Tensor& real) override {
    const auto step = float(step_.item());
    const float inverse = 1 / step, top = float(levels());
    Tensor codes = Tensor::empty(real.shape());
    kernels::launch<kernels::QuantizeUniform<float>>({flat(real), flat(codes), inverse, 0, top});
    saturated_ = rate_of(top, codes);
    const Tensor x = real.detach();
    return {record("quantize_activation", codes, {real},
                   [x, inverse, range = step * top](const Tensor& grad_codes) {
                     Tensor grad = Tensor::empty(x.shape());
                     kernels::launch<kernels::QuantizeUniformBackward<float>>(
                         {flat(x), flat(grad_codes), flat(grad), 0, range, inverse});
                     return std::vector<Tensor>{grad};
                   }),
            step_, levels()};
  }
  Tensor step() const override { return step_; }
  int64_t max_code() const override { return levels(); }
  double saturated() const override { return saturated_; }

  void begin_calibration(int64_t values) override { tail_.emplace(kCovered, values); }
  void observe(const Tensor& real) override { tail_->add(real.data<float>(), real.numel()); }
  void finish_calibration() override {
    const float r = tail_->value();
    tail_.reset();
    step_.fill((r > 0 ? r : 1.0f) / float(levels()));
  }

 private:
  int64_t levels() const { return (int64_t(1) << bits_) - 1; }

  int bits_;
  Tensor step_;
  double saturated_ = 0;
  std::optional<Percentile> tail_;
};

}  // namespace
}  // namespace apprentice::quant

APPRENTICE_UNIT(wrpn_activation) {
  using namespace apprentice::quant;
  activation_quantizers().add("wrpn", {{2, 3, 4, 5, 6, 7, 8}, [](int bits) {
                                         return std::make_shared<WrpnActivation>(bits);
                                       }});
}
