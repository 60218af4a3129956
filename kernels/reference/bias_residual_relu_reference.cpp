#include <apprentice/base/unit.h>
#include <apprentice/kernels/bias_residual_relu.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T, class Y>
void bias_residual_relu(const typename BiasResidualRelu<T, Y>::Args& a) {
  for (int64_t i = 0; i < a.y.size(0); ++i)
    for (int64_t j = 0; j < a.y.size(1); ++j) {
      T v = T(a.y(i, j));
      if (a.bias) v += a.bias(j);
      if (a.residual) v += T(a.residual(i, j));
      a.y(i, j) = Y(a.relu && v < 0 ? T(0) : v);
    }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(bias_residual_relu_reference) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  add_reference<BiasResidualRelu<float>>(bias_residual_relu<float, float>);
  add_reference<BiasResidualRelu<float, Bf16>>(bias_residual_relu<float, Bf16>);
}
