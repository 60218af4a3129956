#include <string>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_pool.h>

namespace apprentice::kernels {
namespace {

template <class T>
void run(const typename OrderedPool<T>::Args& args, Stream) {
  const int64_t pixels = args.x.size(1) * args.x.size(2);
  const float factor = args.step.get() / float(pixels);
  for (int64_t n = 0; n < args.x.size(0); ++n) {
    for (int64_t c = 0; c < args.x.size(3); ++c) {
      int32_t sum = 0;
      for (int64_t h = 0; h < args.x.size(1); ++h) {
        for (int64_t w = 0; w < args.x.size(2); ++w) sum += int32_t(args.x(n, h, w, c));
      }
      args.y(n, c) = float(sum) * factor;
    }
  }
}

template <class T>
void add() {
  const std::string types(OrderedPool<T>::types);
  kernel_table<OrderedPool<T>>().add(
      {"ordered_pool_" + types + "_cpu_reference", "reference", 0, nullptr, run<T>});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_pool_reference) {
  apprentice::kernels::add<float>();
  apprentice::kernels::add<uint8_t>();
}
