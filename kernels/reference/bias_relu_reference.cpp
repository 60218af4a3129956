#include <apprentice/base/unit.h>
#include <apprentice/kernels/bias_relu.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T, class Y>
void bias_relu(const typename BiasRelu<T, Y>::Args& a) {
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

APPRENTICE_UNIT(bias_relu_reference) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  add_reference<BiasRelu<float>>(bias_relu<float, float>);
  add_reference<BiasRelu<float, Bf16>>(bias_relu<float, Bf16>);
}
