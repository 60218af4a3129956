#pragma once

#include <apprentice/kernels/softmax.h>
#include <apprentice/kernels/cuda/softmax_row_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

/// A team of threads a row.
template <class Team>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
softmax_kernel(Softmax<float>::Args args, float inv_temperature) {
  const int64_t n = args.x.size(1);
  for (int64_t row = Team::first_row(); row < args.x.size(0); row += Team::row_step()) {
    const float* x = args.x.data + row * n;
    float* y = args.y.data + row * n;
    const RowSoftmax softmax = row_softmax<Team>(x, n, inv_temperature);
    for (int64_t j = Team::rank(); j < n; j += Team::kThreads) {
      const float logarithm = softmax.logarithm(x[j]);
      y[j] = args.logarithm ? logarithm : std::exp(logarithm);
    }
  }
}

/// A team of threads a row; the row's sum in double.
template <class Team>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
softmax_backward_kernel(SoftmaxBackward<float>::Args args, float inv_temperature) {
  const int64_t n = args.y.size(1);
  for (int64_t row = Team::first_row(); row < args.y.size(0); row += Team::row_step()) {
    const float *y = args.y.data + row * n, *grad_y = args.grad_y.data + row * n;
    float* grad_x = args.grad_x.data + row * n;
    double terms = 0;
    for (int64_t j = Team::rank(); j < n; j += Team::kThreads)
      terms += double(grad_y[j]) * (args.logarithm ? 1.0 : double(y[j]));
    const float sum = float(Team::sum(terms));
    for (int64_t j = Team::rank(); j < n; j += Team::kThreads) {
      const float grad_z =
          args.logarithm ? grad_y[j] - std::exp(y[j]) * sum : y[j] * (grad_y[j] - sum);
      grad_x[j] = grad_z * inv_temperature;
    }
  }
}

inline void softmax(const Softmax<float>::Args& args, simt::Stream stream) {
  for_rows(args.x, [&]<class Team>(Team, unsigned blocks) {
    simt::launch(softmax_kernel<Team>, blocks, kTeamBlock, 0, stream, args,
                 float(1 / args.temperature));
  });
}

inline void softmax_backward(const SoftmaxBackward<float>::Args& args, simt::Stream stream) {
  for_rows(args.y, [&]<class Team>(Team, unsigned blocks) {
    simt::launch(softmax_backward_kernel<Team>, blocks, kTeamBlock, 0, stream, args,
                 float(1 / args.temperature));
  });
}

}  // namespace apprentice::kernels::SIMT_NS
