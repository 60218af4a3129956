#include <algorithm>
#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize.h>
#include <apprentice/quant/quantizer.h>
#include <apprentice/quant/weight_rows_internal.h>

namespace apprentice::quant {
namespace {

/// WRPN weights of k bits: code = rint(n clip(w, -1, 1)), n = 2^(k-1) - 1, step 1/n, half to even.
/// k = 2 is ternary with the fixed threshold 0.5 and unit step.
/// - Error: at most 1/(2n) where |w| <= 1, else |w| - 1.
/// - Surrogate gradient: clipped straight-through, d(code/n)/dw = 1 where -1 <= w <= 1, else 0.
/// After
///   a step masters are clamped to [-1, 1], so that none is stuck outside.
/// - Packed: 2 bits a code where k = 2, else 4; step f32 [1].
/// - Source: Mishra, Nurvitadhi, Cook, Marr 2018, arXiv:1709.01134, section 5.
class Wrpn final : public WeightQuantizer {
 public:
  explicit Wrpn(int k) : k_(k), levels_(float((1 << (k - 1)) - 1)) {}

  std::string_view name() const override { return "wrpn"; }
  int bits() const override { return k_ == 2 ? 2 : 4; }
  std::string grid() const override {
    return fmt::format("{{-{0}, ..., +{0}}} / {0}", int(levels_));
  }
  bool wants_rescale() const override { return true; }
  float gain(const Tensor& w) const override {
    const auto largest = float(abs_max(w, false).item());
    return largest > 0 ? 1 / largest : 1;
  }

  std::optional<WeightRule> rule() const override {
    return WeightRule{
        .rule = kernels::QuantizeWeights::Rule::uniform, .factor = double(levels_), .bound = 1};
  }

  Tensor error_bound(const Tensor& w) const override {
    return map_rows(w, false, [half = 0.5f / levels_](int64_t, float value) {
      return std::max(half, std::abs(value) - 1);
    });
  }

 protected:
  Tensor weight_gradient(const Tensor& grad_codes, const Tensor& w,
                         const QuantizedWeight&) const override {
    Tensor grad = w.new_empty(w.shape());
    kernels::launch<kernels::QuantizeUniformBackward<float>>(
        {w.flat<float>(), grad_codes.flat<float>(), grad.flat<float>(), -1, 1, levels_},
        current_stream(w.device()));
    return grad;
  }

 private:
  int k_;
  float levels_;
};

}  // namespace
}  // namespace apprentice::quant

APPRENTICE_UNIT(wrpn) {
  using namespace apprentice::quant;
  quantizers().add(
      "wrpn", {.bits = {2, 3, 4}, .idempotent = true, .make = [](const WeightOptions& options) {
                 return std::make_shared<Wrpn>(options.bits);
               }});
}
