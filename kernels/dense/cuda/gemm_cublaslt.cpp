#include <apprentice/base/stream.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/dense/cuda/on_device_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>
#include <apprentice/kernels/gemm.h>

namespace apprentice::kernels {
namespace {

using Args = Gemm<float>::Args;

/// c = (accumulate ? c : 0) + bias: what is left of a product over nothing.
void add_bias_alone(const Args& a, Stream stream) {
  const int64_t m = a.c.size(0), n = a.c.size(1);
  float* c = a.c.data;
  if (a.bias && a.accumulate) {
    dense::map_rows<functions::add>(c, n, a.bias.data, 0, c, m, n, stream);
  } else if (a.bias) {
    dense::map_rows<functions::first>(a.bias.data, 0, a.bias.data, 0, c, m, n, stream);
  } else if (!a.accumulate) {
    fill_bytes(c, 0, size_t(a.c.numel()) * sizeof(float), stream);
  }
}

void gemm(const Args& a, Stream stream) {
  if (a.c.numel() == 0) return;
  const dense::GemmProblem problem = dense::problem_of(a);
  if (problem.k == 0) return add_bias_alone(a, stream);
  dense::cublaslt_multiply(problem, {a.a.data, a.b.data, a.bias.data, a.c.data}, stream);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(gemm_cublaslt) {
  using namespace apprentice::kernels;
  kernel_table<Gemm<float>>().add({.name = "gemm_f32_cuda_cublaslt",
                                   .family = "cublaslt",
                                   .priority = 100,
                                   .refuse = [](const Args&) { return dense::cublaslt_problem(); },
                                   .run = gemm,
                                   .where = apprentice::Device::Kind::cuda});
}
