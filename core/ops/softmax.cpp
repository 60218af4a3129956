#include <apprentice/core/ops/softmax.h>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/softmax.h>

namespace apprentice {
namespace {

/// All axes but the last as one.
std::array<int64_t, 2> rows_of(const Tensor& x) {
  const int64_t n = x.size(-1);
  return {n > 0 ? x.numel() / n : 0, n};
}

Tensor softmax_of(const char* op, const Tensor& x, float temperature, bool logarithm) {
  check<ShapeError>(x.rank() > 0, "{}: x has no axes", op);
  check(temperature > 0, "{}: temperature is {}, expected more than 0", op, temperature);
  Tensor y = x.new_empty(x.shape());
  with_float(x.dtype(), op, [&]<class T>() {
    launch_beside<kernels::Softmax<T>>(
        x, {x.as<T>(rows_of(x)), y.as<T>(rows_of(x)), double(temperature), logarithm});
  });
  if (!needs_grad(x)) return y;
  return record(op, y, {x}, [op, temperature, logarithm, y = Saved(y)](const Tensor& g) {
    Tensor grad_x = g.new_empty(g.shape());
    with_float(g.dtype(), op, [&]<class T>() {
      launch_beside<kernels::SoftmaxBackward<T>>(
          g, {y.get().as<T>(rows_of(g)), g.as<T>(rows_of(g)), grad_x.as<T>(rows_of(g)),
              double(temperature), logarithm});
    });
    return std::vector{grad_x};
  });
}

}  // namespace

Tensor softmax(const Tensor& x, float temperature) {
  return softmax_of("softmax", widened(x), temperature, false);
}
Tensor log_softmax(const Tensor& x, float temperature) {
  return softmax_of("log_softmax", widened(x), temperature, true);
}

}  // namespace apprentice

APPRENTICE_UNIT(softmax) {
  using namespace apprentice;
  const auto add = [](const char* name, Tensor (*op)(const Tensor&, float)) {
    op_samples().add(name, [op](Rng& rng) {
      std::vector<OpSample> samples;
      for (const Shape& x : {Shape{3, 5}, Shape{1}, Shape{2, 3, 1}, Shape{0, 4}, Shape{7}})
        for (float temperature : {1.0f, 4.0f})
          samples.push_back({fmt::format("{} at {}", x.str(), temperature),
                             {Tensor::normal(x, 0, 2, rng)},
                             [=](const auto& in) { return op(in[0], temperature); },
                             x});
      return samples;
    });
  };
  add("softmax", softmax);
  add("log_softmax", log_softmax);
}
