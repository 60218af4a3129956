#include <algorithm>
#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/softmax.h>

namespace apprentice::kernels {
namespace {

void softmax_rows(const Softmax<float>::Args& a, Stream /*stream*/) {
  for (int64_t row = 0; row < a.x.size(0); ++row) {
    const float* x = &a.x(row, 0);
    float *y = &a.y(row, 0), sum = 0;
    const float top = *std::max_element(x, x + a.x.size(1));
    for (int64_t j = 0; j < a.x.size(1); ++j) sum += y[j] = std::exp(x[j] - top);
    for (int64_t j = 0; j < a.x.size(1); ++j) y[j] /= sum;
  }
}

std::string refuse(const Softmax<float>::Args& a) {
  if (a.logarithm || a.temperature != 1) return "plain softmax only";
  return a.x.size(1) == 0 ? "no columns" : "";
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(softmax_rows) {
  using namespace apprentice::kernels;
  kernel_table<Softmax<float>>().add(
      {"softmax_f32_cpu_rows", "rows", 1, refuse, softmax_rows, nullptr});
}
