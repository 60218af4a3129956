#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/quantize_codes.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class Code>
void quantize_codes(const typename QuantizeCodes<Code>::Args& a) {
  for (int64_t i = 0; i < a.x.numel(); ++i) {
    const float t = a.x(i) * a.inv_step;
    const float low = float(a.min_code), high = float(a.max_code);
    a.codes(i) = Code(!(t > low) ? a.min_code : t > high ? a.max_code : int32_t(std::rint(t)));
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(quantize_codes_reference) {
  using namespace apprentice::kernels;
  add_reference<QuantizeCodes<uint8_t>>(quantize_codes<uint8_t>);
  add_reference<QuantizeCodes<int8_t>>(quantize_codes<int8_t>);
}
