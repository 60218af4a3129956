#include <apprentice/base/unit.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/arithmetic.h>

namespace apprentice {
namespace {

/// y = x^3; its gradient is that of the products.
Tensor cube(const Tensor& x) { return x * x * x; }

}  // namespace
}  // namespace apprentice

APPRENTICE_UNIT(cube) {
  using namespace apprentice;
  op_samples().add("cube", [](Rng& rng) { return unary_samples(cube, -2, 2, rng); });
}
