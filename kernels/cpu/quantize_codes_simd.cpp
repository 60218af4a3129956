#include <apprentice/kernels/cpu/quantize_codes_simd_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

/// Adding and subtracting it rounds |t| <= 2^22 to an integer, half to even, with instructions that
/// every processor has.
constexpr float kRounder = 0x1.8p23f;

void block(const QuantizeCodesBlock& b) {
  const float* __restrict x = b.x;
  unsigned char* __restrict codes = b.codes;
  const int64_t count = b.count;
  const float inv_step = b.inv_step, low = b.low, high = b.high;
  for (int64_t k = 0; k < count; ++k) {
    const float t = x[k] * inv_step, floored = t > low ? t : low;
    const float rounded = (floored < high ? floored : high) + kRounder;
    codes[k] = static_cast<unsigned char>(static_cast<int32_t>(rounded - kRounder));
  }
}

}  // namespace

const QuantizeCodesSimd quantize_codes{block};

}  // namespace apprentice::kernels::APPRENTICE_ISA
