#include <apprentice/core/ops/activation.h>

#include <apprentice/base/unit.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/elementwise_internal.h>

namespace apprentice {

namespace f = kernels::functions;

Tensor relu(const Tensor& x) { return unary_op_of_result<f::relu>("relu", x); }
Tensor relu6(const Tensor& x) { return unary_op_of_result<f::relu6>("relu6", x); }
Tensor sigmoid(const Tensor& x) { return unary_op_of_wide_result<f::sigmoid>("sigmoid", x); }
Tensor tanh(const Tensor& x) { return unary_op_of_wide_result<f::tanh>("tanh", x); }
Tensor hardtanh(const Tensor& x, double low, double high) {
  return unary_op<f::hardtanh>("hardtanh", x, {low, high});
}
Tensor gelu(const Tensor& x) { return unary_op<f::gelu>("gelu", x); }
Tensor silu(const Tensor& x) { return unary_op<f::silu>("silu", x); }
Tensor softplus(const Tensor& x) { return unary_op<f::softplus>("softplus", x); }
Tensor hardswish(const Tensor& x) { return unary_op<f::hardswish>("hardswish", x); }

}  // namespace apprentice

APPRENTICE_UNIT(activation) {
  using namespace apprentice;
  const auto add = [](const char* name, Tensor (*op)(const Tensor&)) {
    op_samples().add(name, [op](Rng& rng) { return unary_samples(op, -4, 8, rng); });
  };
  add("relu", relu);
  add("relu6", relu6);
  add("sigmoid", sigmoid);
  add("tanh", apprentice::tanh);
  add("hardtanh", [](const Tensor& x) { return hardtanh(x, -1.5, 2); });
  add("gelu", gelu);
  add("silu", silu);
  add("softplus", softplus);
  add("hardswish", hardswish);
}
