#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/max_pool_codes_simd_internal.h>
#include <apprentice/kernels/cpu/parallel_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/pool.h>

namespace apprentice::kernels {
namespace {

using Args = MaxPool2d<uint8_t>::Args;

void run(const MaxPoolCodesSimd& simd, const Args& args) {
  const Pool2dGeometry& g = args.geometry;
  const int64_t height = args.x.size(1), width = args.x.size(2), channels = args.x.size(3);
  const int64_t rows = args.y.size(1), cols = args.y.size(2), tasks = args.y.size(0) * rows;
  for_each_task(tasks, [&](int64_t task) {
    const auto window = g.window(0, task % rows, height, rows);
    const int64_t first = (task / rows * height + window.begin) * width * channels;
    simd.row({args.x.data + first, window.end - window.begin, width, channels, g.kernel_size[1],
              g.stride[1], g.padding[1], args.y.data + task * cols * channels, cols});
  });
}

std::string refuse(const Args& args) {
  if (args.argmax) return "argmax is wanted";
  return args.geometry.adaptive ? "windows are adaptive" : "";
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(max_pool_codes) {
  using namespace apprentice::kernels;
  add_simd<MaxPool2d<uint8_t>>(APPRENTICE_SIMD_SET(max_pool_codes), run, refuse, nullptr, true);
}
