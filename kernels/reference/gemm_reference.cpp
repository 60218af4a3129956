#include <apprentice/kernels/gemm.h>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T>
void gemm(const typename Gemm<T>::Args& args) {
  const int64_t k = args.transpose_a ? args.a.size(0) : args.a.size(1);
#pragma omp parallel for
  for (int64_t i = 0; i < args.c.size(0); ++i)
    for (int64_t j = 0; j < args.c.size(1); ++j) {
      double sum = args.accumulate ? double(args.c(i, j)) : 0.0;
      if (args.bias) sum += double(args.bias(j));
      for (int64_t l = 0; l < k; ++l) {
        const T a = args.transpose_a ? args.a(l, i) : args.a(i, l);
        const T b = args.transpose_b ? args.b(j, l) : args.b(l, j);
        sum += double(a) * double(b);
      }
      args.c(i, j) = T(sum);
    }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(gemm_reference) {
  using namespace apprentice::kernels;
  add_reference<Gemm<float>>(gemm<float>);
  add_reference<Gemm<double>>(gemm<double>);
}
