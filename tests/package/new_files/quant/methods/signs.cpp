#include <algorithm>
#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/quant/quantizer.h>

namespace apprentice::quant {
namespace {

/// Binary weights in ternary codes: s sign(w), s = mean |w| (sign(0) = +1).
class Signs final : public WeightQuantizer {
 public:
  std::string_view name() const override { return "signs"; }
  int bits() const override { return 2; }
  std::string grid() const override { return "s {-1, +1}, s = mean |w|"; }

  QuantizedWeight quantize(const Tensor& w) const override {
    std::vector<float> codes = w.to_vector<float>();
    for (float& value : codes) value = value < 0 ? -1 : 1;
    return {Tensor::from(codes, w.shape()), Tensor::full({1}, step(w)), {}, 1};
  }
  Tensor error_bound(const Tensor& w) const override {
    std::vector<float> bound = w.to_vector<float>();
    for (float& value : bound) value = float(std::abs(step(w) - std::abs(double(value))));
    return Tensor::from(bound, w.shape());
  }

 private:
  static double step(const Tensor& w) {
    double sum = 0;
    for (float value : w.to_vector<float>()) sum += std::abs(double(value));
    return std::max(sum / double(std::max<int64_t>(w.numel(), 1)), 1e-30);
  }
};

}  // namespace
}  // namespace apprentice::quant

APPRENTICE_UNIT(signs) {
  using namespace apprentice::quant;
  quantizers().add("signs", {.bits = {2}, .make = [](const WeightOptions&) {
                               return std::make_shared<Signs>();
                             }});
}
