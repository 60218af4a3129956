#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/fold_batch_norm.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T>
void fold(const typename FoldBatchNorm<T>::Args& a) {
  for (int64_t o = 0; o < a.w.size(0); ++o) {
    const double g = double(a.gamma(o)) / std::sqrt(double(a.var(o)) + a.eps);
    const double step = a.step ? double(a.step(a.step.numel() == 1 ? 0 : o)) : 1;
    const T scale = T(g * step);
    for (int64_t j = 0; j < a.w.size(1); ++j) a.folded(o, j) = scale * a.w(o, j);
    a.bias(o) = T(double(a.beta(o)) - double(a.mean(o)) * g);
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(fold_batch_norm_reference) {
  using namespace apprentice::kernels;
  add_reference<FoldBatchNorm<float>>(fold<float>);
  add_reference<FoldBatchNorm<double>>(fold<double>);
}
