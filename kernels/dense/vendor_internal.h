#pragma once

#include <array>

#include <apprentice/base/device.h>
#include <apprentice/kernels/dense/plans/conv2d_problem_internal.h>
#include <apprentice/kernels/dense/plans/gemm_problem_internal.h>
#include <apprentice/kernels/dense/vendor_libraries.h>

// What the registrations of kernels/dense/cuda call. Where a library was not there when this was
// built, kernels/dense/absent stands for it: its problem says so, and nothing else is called.
namespace apprentice::kernels::dense {

/// Memory of a convolution or gradient: x, w and y as in ConvProblem, of which one is computed;
/// bias and residual of a forward, or null.
struct ConvMemory {
  std::array<const void*, 3> xwy;
  const float* bias = nullptr;
  const void* residual = nullptr;
  bool relu = false;
};

/// Gives the stream the convolution or gradient and, of a forward, what follows. The first call for
/// a problem in a thread plans it and, unless plan_choice() says otherwise or the choice is known,
/// times algorithms in the stream, for which it waits; no later call does. DeviceError with cuDNN's
/// reason and the problem.
void cudnn_convolve(const ConvProblem& problem, const ConvMemory& memory, Stream stream);

/// The same for c = op(a) op(b) by cuBLASLt, bias or null.
struct GemmMemory {
  const void *a, *b, *bias;
  void* c;
};
void cublaslt_multiply(const GemmProblem& problem, const GemmMemory& memory, Stream stream);

}  // namespace apprentice::kernels::dense
