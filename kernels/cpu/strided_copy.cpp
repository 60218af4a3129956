#include <apprentice/kernels/strided_copy.h>

#include <cstring>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

StridedCopy::Numbers dense_steps(const Shape& shape) {
  StridedCopy::Numbers steps{};
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) steps[size_t(i)] = step, step *= shape[i];
  return steps;
}

namespace {

/// Row by row of the last axis.
template <class Element>
void copy(const StridedCopy::Args& a) {
  const int last = a.rank - 1;
  const int64_t n = last < 0 ? 1 : a.sizes[size_t(last)], total = a.numel();
  if (total == 0) return;
  const int64_t x_step = last < 0 ? 1 : a.x_steps[size_t(last)];
  const int64_t y_step = last < 0 ? 1 : a.y_steps[size_t(last)], rows = total / n;
#pragma omp parallel for schedule(static) if (total >= kParallelElements)
  for (int64_t row = 0; row < rows; ++row) {
    const auto* x = static_cast<const Element*>(a.x);
    auto* y = static_cast<Element*>(a.y);
    int64_t rest = row;
    for (int axis = last - 1; axis >= 0; --axis) {
      const int64_t at = rest % a.sizes[size_t(axis)];
      rest /= a.sizes[size_t(axis)];
      x += at * a.x_steps[size_t(axis)], y += at * a.y_steps[size_t(axis)];
    }
    if (x_step == 1 && y_step == 1)
      std::memcpy(y, x, size_t(n) * sizeof(Element));
    else
      for (int64_t i = 0; i < n; ++i) y[i * y_step] = x[i * x_step];
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(strided_copy) {
  using namespace apprentice::kernels;
  kernel_table<StridedCopy>().add({.name = "strided_copy_bytes_cpu_simd",
                                   .family = "simd",
                                   .priority = 10,
                                   .refuse = nullptr,
                                   .run = [](const StridedCopy::Args& args, apprentice::Stream) {
                                     with_element(args.element_bytes,
                                                  [&]<class Element>() { copy<Element>(args); });
                                   }});
}
