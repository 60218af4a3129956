#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/ordered_pool_simd_internal.h>
#include <apprentice/kernels/cpu/parallel_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/ordered_pool.h>

namespace apprentice::kernels {
namespace {

template <class T>
void run(const OrderedPoolSimd& simd, const typename OrderedPool<T>::Args& args) {
  const int64_t n = args.x.size(0), pixels = args.x.size(1) * args.x.size(2), c = args.x.size(3);
  const float factor = args.step.get() / float(pixels);
  for_each_task(n, [&](int64_t i) {
    const T* x = args.x.data + i * pixels * c;
    float* y = args.y.data + i * c;
    if constexpr (std::is_same_v<T, float>) {
      simd.of_f32(x, pixels, c, factor, y);
    } else {
      simd.of_u8(x, pixels, c, factor, y);
    }
  });
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_pool) {
  using namespace apprentice::kernels;
  add_simd<OrderedPool<float>>(APPRENTICE_SIMD_SET(ordered_pool), run<float>, nullptr, nullptr,
                               true);
  add_simd<OrderedPool<uint8_t>>(APPRENTICE_SIMD_SET(ordered_pool), run<uint8_t>, nullptr, nullptr,
                                 true);
}
