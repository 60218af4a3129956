#include <algorithm>
#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/quant/quantizer.h>
#include <apprentice/quant/weight_rows_internal.h>

namespace apprentice::quant {
namespace {

/// Part of mean |w| that a weight must exceed not to become 0 (Li et al. 2016, section 2.2).
constexpr double kThreshold = 0.7;

/// Ternary weight networks: t = 0.7 mean|w|; code = sign(w) where |w| > t, else 0;
/// s = mean of |w| over the codes that are not 0. One t and s a layer, or an output channel.
/// - Error: at most t where |w| <= t, else max(s - t, |w| - s). A row of zeros gives codes 0, s
/// = 1.
/// - Surrogate gradient: straight-through, d(s * code)/dw = 1; s and t are not differentiated.
/// - Packed: 2 bits a code, s f32 [1] or [out].
/// - Source: Li, Zhang, Liu 2016, arXiv:1605.04711, eq. 3-6.
class Twn final : public WeightQuantizer {
 public:
  explicit Twn(const WeightOptions& options) : per_channel_(options.per_channel) {}

  std::string_view name() const override { return "twn"; }
  int bits() const override { return 2; }
  std::string grid() const override {
    return std::string("s {-1, 0, +1}, s = mean |w| over |w| > 0.7 mean|w|, one s ") +
           (per_channel_ ? "an output channel" : "a layer");
  }

  std::optional<WeightRule> rule() const override {
    return WeightRule{kernels::QuantizeWeights::Rule::mean, kThreshold, per_channel_};
  }

  Tensor error_bound(const Tensor& w) const override {
    const std::vector<float> mean = abs_mean(w, per_channel_).to_vector<float>();
    const std::vector<float> s = quantize(w).scale.to_vector<float>();
    return map_rows(w, per_channel_, [&](int64_t row, float value) {
      const auto limit = float(kThreshold * double(mean[size_t(row)]));
      const float scale = s[size_t(row)], size = std::abs(value);
      return size <= limit ? limit : std::max(scale - limit, size - scale);
    });
  }

 private:
  bool per_channel_;
};

}  // namespace
}  // namespace apprentice::quant

APPRENTICE_UNIT(twn) {
  using namespace apprentice::quant;
  quantizers().add(
      "twn", {.bits = {2},
              .per_channel = true,
              .scale_free = true,
              .idempotent = true,
              .make = [](const WeightOptions& options) { return std::make_shared<Twn>(options); }});
}
