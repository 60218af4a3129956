#include <algorithm>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/parallel_internal.h>
#include <apprentice/kernels/cpu/quantize_codes_simd_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/quantize_codes.h>

namespace apprentice::kernels {
namespace {

constexpr int64_t kTaskElements = 16 * 1024;

template <class Code>
void run(const QuantizeCodesSimd& simd, const typename QuantizeCodes<Code>::Args& args) {
  const int64_t n = args.x.numel(), tasks = (n + kTaskElements - 1) / kTaskElements;
  for_each_task(tasks, [&](int64_t task) {
    const int64_t first = task * kTaskElements;
    simd.block({args.x.data + first, reinterpret_cast<unsigned char*>(args.codes.data + first),
                std::min(kTaskElements, n - first), args.inv_step, float(args.min_code),
                float(args.max_code)});
  });
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(quantize_codes) {
  using namespace apprentice::kernels;
  add_simd<QuantizeCodes<uint8_t>>(APPRENTICE_SIMD_SET(quantize_codes), run<uint8_t>, nullptr,
                                   nullptr, true);
  add_simd<QuantizeCodes<int8_t>>(APPRENTICE_SIMD_SET(quantize_codes), run<int8_t>, nullptr,
                                  nullptr, true);
}
