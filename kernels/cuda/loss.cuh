#pragma once

#include <cmath>

#include <apprentice/kernels/loss.h>
#include <apprentice/kernels/cuda/softmax_row_internal.cuh>

// Losses of rows with their gradients: a team of threads a row. Rows are read from memory once;
// what the later passes over them read lies in the cache. Sums are in double, each element in
// float.
namespace apprentice::kernels::SIMT_NS {

/// Hard labels as probabilities: (1 - smoothing) + smoothing / classes, and smoothing / classes.
struct SmoothedLabel {
  float own, other;
};

/// The targets of labels. Row::own is the label, in [0, classes) or not; 0 where there is none.
struct LabelTargets {
  static constexpr bool kOfMassOne = true;
  SoftmaxCrossEntropy<float>::Args args;
  SmoothedLabel label;

  struct Row {
    int64_t own;
    SmoothedLabel label;
    SIMT_FN float operator()(int64_t j) const { return j == own ? label.own : label.other; }
  };
  template <class Team>
  SIMT_FN Row row(int64_t i, int64_t, float) const {
    return {args.labels.data[i], label};
  }
};
/// Targets that are given.
struct GivenTargets {
  static constexpr bool kOfMassOne = false;
  SoftmaxCrossEntropy<float>::Args args;

  struct Row {
    int64_t own;
    const float* targets;
    SIMT_FN float operator()(int64_t j) const { return targets[j]; }
  };
  template <class Team>
  SIMT_FN Row row(int64_t i, int64_t n, float) const {
    return {0, args.targets.data + i * n};
  }
};
/// Targets that a teacher's logits make.
struct TaughtTargets {
  static constexpr bool kOfMassOne = false;
  SoftmaxCrossEntropy<float>::Args args;

  struct Row {
    int64_t own;
    const float* teacher;
    RowSoftmax softmax;
    SIMT_FN float operator()(int64_t j) const { return std::exp(softmax.logarithm(teacher[j])); }
  };
  template <class Team>
  SIMT_FN Row row(int64_t i, int64_t n, float inv_temperature) const {
    const float* teacher = args.teacher.data + i * n;
    return {0, teacher, row_softmax<Team>(teacher, n, inv_temperature)};
  }
};

template <class Team, class Targets>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
softmax_cross_entropy_kernel(Targets targets, float inv_temperature) {
  const auto& args = targets.args;
  const int64_t n = args.logits.size(1);
  for (int64_t row = Team::first_row(); row < args.logits.size(0); row += Team::row_step()) {
    const float* logits = args.logits.data + row * n;
    const auto target = targets.template row<Team>(row, n, inv_temperature);
    const RowSoftmax p = row_softmax<Team>(logits, n, inv_temperature);
    double mass = 1;
    if constexpr (!Targets::kOfMassOne) {
      mass = 0;
      for (int64_t j = Team::rank(); j < n; j += Team::kThreads) mass += double(target(j));
      mass = Team::sum(mass);
    }
    double loss = 0;
    for (int64_t j = Team::rank(); j < n; j += Team::kThreads) {
      const float t = target(j);
      const float log_p = p.logarithm(logits[j]);
      if (t != 0) loss -= double(t) * double(log_p);
      if (args.grad)
        args.grad.data[row * n + j] = (std::exp(log_p) * float(mass) - t) * inv_temperature;
    }
    loss = Team::sum(loss);
    // The host cannot look at labels without waiting.
    const bool is_class = target.own >= 0 && target.own < n;
    if (Team::rank() == 0) args.loss.data[row] = is_class ? float(loss) : NAN;
  }
}

template <class Team>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
kl_divergence_kernel(KlDivergence<float>::Args args, float inv_temperature) {
  const int64_t n = args.student.size(1);
  for (int64_t row = Team::first_row(); row < args.student.size(0); row += Team::row_step()) {
    const float *student = args.student.data + row * n, *teacher = args.teacher.data + row * n;
    const RowSoftmax p_s = row_softmax<Team>(student, n, inv_temperature);
    const RowSoftmax p_t = row_softmax<Team>(teacher, n, inv_temperature);
    double loss = 0;
    for (int64_t j = Team::rank(); j < n; j += Team::kThreads) {
      const float log_s = p_s.logarithm(student[j]), log_t = p_t.logarithm(teacher[j]);
      const float t = std::exp(log_t);
      if (t > 0) loss += double(t) * (double(log_t) - double(log_s));
      if (args.grad) args.grad.data[row * n + j] = (std::exp(log_s) - t) * inv_temperature;
    }
    loss = Team::sum(loss);
    if (Team::rank() == 0) args.loss.data[row] = float(loss);
  }
}

template <class Team>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
cosine_loss_kernel(CosineLoss<float>::Args args) {
  constexpr double kSmallest = CosineLoss<float>::kSmallestNorm;
  const int64_t d = args.x.size(1);
  for (int64_t row = Team::first_row(); row < args.x.size(0); row += Team::row_step()) {
    const float *x = args.x.data + row * d, *target = args.target.data + row * d;
    double xx = 0, tt = 0, xt = 0;
    for (int64_t j = Team::rank(); j < d; j += Team::kThreads) {
      const double xj = double(x[j]), tj = double(target[j]);
      xx += xj * xj, tt += tj * tj, xt += xj * tj;
    }
    const double norm_x = std::sqrt(Team::sum(xx)), norm_t = std::sqrt(Team::sum(tt));
    const double inv =
        1 / ((norm_x < kSmallest ? kSmallest : norm_x) * (norm_t < kSmallest ? kSmallest : norm_t));
    const double cosine = Team::sum(xt) * inv;
    if (Team::rank() == 0) args.loss.data[row] = float(1 - cosine);
    if (!args.grad) continue;
    const double own = norm_x < kSmallest ? 0.0 : cosine / (norm_x * norm_x);
    for (int64_t j = Team::rank(); j < d; j += Team::kThreads)
      args.grad.data[row * d + j] = float(own * double(x[j]) - inv * double(target[j]));
  }
}

template <class Team>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
squared_error_kernel(SquaredError<float>::Args args) {
  const int64_t n = args.x.size(1);
  for (int64_t row = Team::first_row(); row < args.x.size(0); row += Team::row_step()) {
    double sum = 0;
    for (int64_t j = Team::rank(); j < n; j += Team::kThreads) {
      const double d = double(args.x.data[row * n + j]) - double(args.target.data[row * n + j]);
      sum += d * d;
      if (args.grad) args.grad.data[row * n + j] = float(2 * d);
    }
    sum = Team::sum(sum);
    if (Team::rank() == 0) args.loss.data[row] = float(sum);
  }
}

inline void softmax_cross_entropy(const SoftmaxCrossEntropy<float>::Args& args,
                                  simt::Stream stream) {
  const double other = args.smoothing / double(args.logits.size(1));
  const SmoothedLabel label{float(1 - args.smoothing + other), float(other)};
  const auto run = [&]<class Targets>(const Targets& targets) {
    for_rows(args.logits, [&]<class Team>(Team, unsigned blocks) {
      simt::launch(softmax_cross_entropy_kernel<Team, Targets>, blocks, kTeamBlock, 0, stream,
                   targets, float(1 / args.temperature));
    });
  };
  if (args.teacher)
    run(TaughtTargets{args});
  else if (args.targets)
    run(GivenTargets{args});
  else
    run(LabelTargets{args, label});
}

inline void kl_divergence(const KlDivergence<float>::Args& args, simt::Stream stream) {
  for_rows(args.student, [&]<class Team>(Team, unsigned blocks) {
    simt::launch(kl_divergence_kernel<Team>, blocks, kTeamBlock, 0, stream, args,
                 float(1 / args.temperature));
  });
}

inline void cosine_loss(const CosineLoss<float>::Args& args, simt::Stream stream) {
  for_rows(args.x, [&]<class Team>(Team, unsigned blocks) {
    simt::launch(cosine_loss_kernel<Team>, blocks, kTeamBlock, 0, stream, args);
  });
}

inline void squared_error(const SquaredError<float>::Args& args, simt::Stream stream) {
  for_rows(args.x, [&]<class Team>(Team, unsigned blocks) {
    simt::launch(squared_error_kernel<Team>, blocks, kTeamBlock, 0, stream, args);
  });
}

}  // namespace apprentice::kernels::SIMT_NS
