#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/non_finite.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T>
void non_finite(const typename NonFinite<T>::Args& a) {
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    int64_t count = 0;
    for (int64_t j = 0; j < a.tensors[i].numel(); ++j) count += !std::isfinite(a.tensors[i](j));
    if (a.counts) a.counts(i) += count;
    if (a.total) a.total(0) += count;
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(non_finite_reference) {
  using namespace apprentice::kernels;
  add_reference<NonFinite<float>>(non_finite<float>);
  add_reference<NonFinite<double>>(non_finite<double>);
}
