#include <apprentice/core/ops/loss.h>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/ops/softmax.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/loss.h>

namespace apprentice {
namespace {

void check_alike(const char* op, const Tensor& x, const Tensor& target) {
  check<ShapeError>(x.shape() == target.shape(), "{}: got {} and {}, expected one shape", op,
                    x.shape().str(), target.shape().str());
  check_beside(op, x, target);
}

void check_logits(const char* op, const Tensor& logits, float temperature = 1) {
  check<ShapeError>(logits.rank() == 2 && logits.size(1) > 0,
                    "{}: logits are {}, expected [n, classes]", op, logits.shape().str());
  check(temperature > 0, "{}: temperature is {}, expected more than 0", op, temperature);
}

void check_labels(const Tensor& logits, const Tensor& labels) {
  const int64_t n = logits.size(0), classes = logits.size(1);
  check<ShapeError>(labels.shape() == Shape{n}, "cross_entropy: labels are {}, expected [{}]",
                    labels.shape().str(), n);
  check<DeviceError>(labels.device() == logits.device(),
                     "cross_entropy: tensors on {} and {}, expected one device",
                     logits.device().str(), labels.device().str());
  // Labels on another device are not read here, as that would wait for it: for a label outside, the
  // loss there is NaN.
  if (!labels.device().is_cpu()) return;
  const int64_t* label = labels.data<int64_t>();
  for (int64_t i = 0; i < n; ++i)
    check<ShapeError>(label[i] >= 0 && label[i] < classes,
                      "cross_entropy: label {} of row {} is outside [0, {})", label[i], i, classes);
}

/// Loss and gradient of each row, as the kernels of losses give them.
struct Rows {
  std::array<int64_t, 2> sizes;
  Tensor loss, grad;

  /// `grad` only if x wants one. Rows along the first axis, everything else flattened.
  explicit Rows(const Tensor& x) {
    const int64_t n = x.rank() > 0 ? x.size(0) : 1;
    sizes = {n, n > 0 ? x.numel() / n : 0};
    loss = x.new_empty({n});
    if (needs_grad(x)) grad = x.new_empty(x.shape());
  }
  template <class T>
  View2<const T> of(const Tensor& t) const {
    return t.as<T>(sizes);
  }
  template <class T>
  View1<T> loss_view() {
    return loss.view<T, 1>();
  }
  template <class T>
  View2<T> grad_view() {
    return grad ? grad.as<T>(sizes) : View2<T>{};
  }
};

/// scale * sum of the rows' losses, in the graph as a function of x.
Tensor finish(const char* op, const Rows& rows, const Tensor& x, double scale) {
  Tensor y = sum(rows.loss) * scale;
  if (!rows.grad) return y;
  return record(op, y, {x}, [scale, grad = Saved(rows.grad)](const Tensor& g) {
    return std::vector{mul(grad.get(), g * scale)};
  });
}

/// One part in n of a mean over n rows.
double part_of(const char* op, int64_t n) {
  check<ShapeError>(n > 0, "{}: mean over no rows", op);
  return 1 / double(n);
}

/// Cross-entropy with targets [n, classes], which `set(args, rows of them)` takes.
template <class Set>
Tensor cross_entropy_of_rows(const char* op, const Tensor& given, const Tensor& targets,
                             float temperature, Set set) {
  const Tensor logits = widened(given), wide_targets = widened(targets);
  check_logits(op, logits, temperature);
  check_alike(op, logits, wide_targets);
  Rows rows(logits);
  with_float(logits.dtype(), op, [&]<class T>() {
    typename kernels::SoftmaxCrossEntropy<T>::Args args;
    args.logits = rows.of<T>(logits);
    set(args, rows.of<T>(wide_targets));
    args.temperature = double(temperature);
    args.loss = rows.loss_view<T>();
    args.grad = rows.grad_view<T>();
    launch_beside<kernels::SoftmaxCrossEntropy<T>>(logits, args);
  });
  return finish(op, rows, logits, part_of(op, logits.size(0)));
}

}  // namespace

Tensor cross_entropy(const Tensor& given, const Tensor& labels, float smoothing,
                     Reduction reduction) {
  const Tensor logits = widened(given);
  check_logits("cross_entropy", logits);
  check_labels(logits, labels);
  check(smoothing >= 0 && smoothing <= 1, "cross_entropy: smoothing is {}, expected 0 to 1",
        smoothing);
  Rows rows(logits);
  with_float(logits.dtype(), "cross_entropy", [&]<class T>() {
    typename kernels::SoftmaxCrossEntropy<T>::Args args;
    args.logits = rows.of<T>(logits);
    args.labels = labels.view<int64_t, 1>();
    args.smoothing = double(smoothing);
    args.loss = rows.loss_view<T>();
    args.grad = rows.grad_view<T>();
    launch_beside<kernels::SoftmaxCrossEntropy<T>>(logits, args);
  });
  const bool is_sum = reduction == Reduction::sum;
  return finish("cross_entropy", rows, logits,
                is_sum ? 1 : part_of("cross_entropy", logits.size(0)));
}

Tensor soft_cross_entropy(const Tensor& logits, const Tensor& probabilities, float temperature) {
  return cross_entropy_of_rows("soft_cross_entropy", logits, probabilities, temperature,
                               [](auto& args, const auto& rows) { args.targets = rows; });
}

Tensor soft_cross_entropy_with_logits(const Tensor& student, const Tensor& teacher,
                                      float temperature) {
  return cross_entropy_of_rows("soft_cross_entropy_with_logits", student, teacher, temperature,
                               [](auto& args, const auto& rows) { args.teacher = rows; });
}

Tensor kl_divergence(const Tensor& of_student, const Tensor& of_teacher, float temperature) {
  const Tensor student = widened(of_student), teacher = widened(of_teacher);
  check_logits("kl_divergence", student, temperature);
  check_alike("kl_divergence", student, teacher);
  Rows rows(student);
  with_float(student.dtype(), "kl_divergence", [&]<class T>() {
    launch_beside<kernels::KlDivergence<T>>(
        student, {rows.of<T>(student), rows.of<T>(teacher), double(temperature),
                  rows.loss_view<T>(), rows.grad_view<T>()});
  });
  return finish("kl_divergence", rows, student, part_of("kl_divergence", student.size(0)));
}

Tensor cosine_loss(const Tensor& given, const Tensor& wanted) {
  const Tensor x = widened(given), target = widened(wanted);
  check_alike("cosine_loss", x, target);
  check<ShapeError>(x.rank() > 0, "cosine_loss: x has no axes");
  Rows rows(x);
  with_float(x.dtype(), "cosine_loss", [&]<class T>() {
    launch_beside<kernels::CosineLoss<T>>(
        x, {rows.of<T>(x), rows.of<T>(target), rows.loss_view<T>(), rows.grad_view<T>()});
  });
  return finish("cosine_loss", rows, x, part_of("cosine_loss", x.size(0)));
}

Tensor mse_loss(const Tensor& given, const Tensor& wanted) {
  const Tensor x = widened(given), target = widened(wanted);
  check_alike("mse_loss", x, target);
  Rows rows(x);
  with_float(x.dtype(), "mse_loss", [&]<class T>() {
    launch_beside<kernels::SquaredError<T>>(
        x, {rows.of<T>(x), rows.of<T>(target), rows.loss_view<T>(), rows.grad_view<T>()});
  });
  return finish("mse_loss", rows, x, part_of("mse_loss", x.numel()));
}

}  // namespace apprentice

namespace {

using namespace apprentice;

/// Samples of a loss of x against something of the same shape, given by `target`.
template <class Target, class Loss>
std::vector<OpSample> loss_samples(const std::vector<Shape>& shapes, Target target, Loss loss,
                                   Rng& rng) {
  std::vector<OpSample> samples;
  for (const Shape& shape : shapes) {
    const Tensor t = target(shape, rng);
    samples.push_back({shape.str(),
                       {Tensor::normal(shape, 0, 2, rng)},
                       [=](const auto& in) {
                         const Dtype dtype = t.dtype() == Dtype::f32 ? in[0].dtype() : t.dtype();
                         const Tensor beside = t.to(dtype).to(in[0].device());
                         return loss(in[0], beside);
                       },
                       Shape{}});
  }
  return samples;
}

Tensor some_labels(const Shape& shape, Rng& rng) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < shape[0]; ++i) labels.push_back(rng.below(uint32_t(shape[1])));
  return Tensor::from(labels, {shape[0]});
}
Tensor some_probabilities(const Shape& shape, Rng& rng) {
  return softmax(Tensor::normal(shape, 0, 1, rng));
}
Tensor some_values(const Shape& shape, Rng& rng) { return Tensor::normal(shape, 0, 2, rng); }

}  // namespace

APPRENTICE_UNIT(loss) {
  const std::vector<Shape> logits{{3, 5}, {1, 1}, {7, 10}};
  op_samples().add("cross_entropy", [=](Rng& rng) {
    return loss_samples(
        logits, some_labels, [](auto& x, auto& t) { return cross_entropy(x, t); }, rng);
  });
  op_samples().add("cross_entropy_smooth_sum", [=](Rng& rng) {
    return loss_samples(
        {{3, 5}, {1, 1}, {0, 3}}, some_labels,
        [](auto& x, auto& t) { return cross_entropy(x, t, 0.1f, Reduction::sum); }, rng);
  });
  op_samples().add("soft_cross_entropy", [=](Rng& rng) {
    return loss_samples(
        logits, some_probabilities, [](auto& x, auto& t) { return soft_cross_entropy(x, t, 2); },
        rng);
  });
  op_samples().add("soft_cross_entropy_with_logits", [=](Rng& rng) {
    return loss_samples(
        logits, some_values,
        [](auto& x, auto& t) { return soft_cross_entropy_with_logits(x, t, 2); }, rng);
  });
  op_samples().add("kl_divergence", [=](Rng& rng) {
    return loss_samples(
        logits, some_values, [](auto& x, auto& t) { return kl_divergence(x, t, 4); }, rng);
  });
  op_samples().add("cosine_loss", [](Rng& rng) {
    return loss_samples({{3, 5}, {1, 2}, {2, 3, 1, 4}}, some_values, cosine_loss, rng);
  });
  op_samples().add("mse_loss", [](Rng& rng) {
    return loss_samples({{3, 5}, {1}, {}, {2, 3, 4}}, some_values, mse_loss, rng);
  });
}
