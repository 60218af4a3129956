#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/quantize.h>

namespace apprentice::kernels {
namespace {

using Forward = QuantizeUniform<float>;
using Backward = QuantizeUniformBackward<float>;

/// Adding and subtracting it rounds |t| <= 2^22 to an integer, half to even, with instructions that
/// every processor has: the sum has no fraction bits.
constexpr float kRounder = 0x1.8p23f, kLargestCode = 0x1p22f;

void quantize_uniform(const Forward::Args& a) {
  const float scale = a.inv_step.get(), low = a.min_code, high = a.max_code;
  map_unary(a.x, a.codes, [=](float x) {
    const float t = x * scale, floored = t > low ? t : low;
    const float clamped = floored < high ? floored : high;
    return (clamped + kRounder) - kRounder;
  });
}

std::string refuse_large_codes(const Forward::Args& a) {
  const bool fits = a.min_code >= -kLargestCode && a.max_code <= kLargestCode;
  return fits ? "" : fmt::format("codes up to {} exceed 2^22", a.max_code);
}

void quantize_uniform_backward(const Backward::Args& a) {
  const float low = a.low.get(), high = a.high.get(), scale = a.scale.get();
  map_binary(a.x, a.grad_codes, a.grad_x,
             [=](float x, float grad) { return (x >= low) & (x <= high) ? grad * scale : 0.0f; });
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(quantize) {
  using namespace apprentice::kernels;
  add_portable<Forward>(quantize_uniform, refuse_large_codes);
  add_portable<Backward>(quantize_uniform_backward);
}
