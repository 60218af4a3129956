#include <algorithm>
#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/reference/quantize_weights_internal.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

using Weight = QuantizeWeights::Weight;
using Rule = QuantizeWeights::Rule;

float threshold(const Weight& a, int64_t row) {
  const int64_t k = a.w.size(1);
  double sum = 0, top = 0;
  for (int64_t j = 0; j < k; ++j) {
    const double v = std::abs(double(a.w(row, j)));
    sum += v, top = std::max(top, v);
  }
  const auto size = float(a.rule == Rule::mean ? sum / double(k) : top);
  return float(a.factor * double(size));
}

float code_of(const Weight& a, float w, float threshold) {
  if (a.rule != Rule::uniform) return float(int(w > threshold) - int(w < -threshold));
  const auto limit = float(a.factor);
  const float t = w * limit;
  return !(t > -limit) ? -limit : t > limit ? limit : std::rint(t) + 0.0f;
}

int sign_of(float code) { return int(code > 0) - int(code < 0); }

void quantize_row(const Weight& a, int64_t row) {
  const float t = a.rule == Rule::uniform ? 0.0f : threshold(a, row);
  double sum = 0;
  int64_t zeros = 0, flips = 0;
  for (int64_t j = 0; j < a.w.size(1); ++j) {
    const float w = a.w(row, j), code = code_of(a, w, t);
    zeros += code == 0;
    flips += sign_of(code) != sign_of(a.codes(row, j));
    sum += code != 0 ? std::abs(double(w)) : 0.0;
    a.codes(row, j) = code;
  }
  const int64_t rest = a.w.size(1) - zeros;
  const double scale = a.rule == Rule::uniform ? 1 / a.factor : rest ? sum / double(rest) : 1.0;
  if (a.scale) a.scale(row) = float(scale);
  if (a.zeros) a.zeros(0) += zeros;
  if (a.flips) a.flips(0) += flips, a.flips(1) += a.w.size(1);
}

}  // namespace

void quantize_weights_by_reference(const QuantizeWeights::Args& args) {
  for (const Weight& a : args.weights)
    for (int64_t row = 0; row < a.w.size(0); ++row) quantize_row(a, row);
}

}  // namespace apprentice::kernels

APPRENTICE_UNIT(quantize_weights_reference) {
  using namespace apprentice::kernels;
  add_reference<QuantizeWeights>(quantize_weights_by_reference);
}
