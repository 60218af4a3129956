#include <apprentice/base/error.h>
#include <apprentice/core/precision.h>

namespace apprentice {
namespace {

thread_local Precision current = Precision::f32;

}  // namespace

Precision current_precision() { return current; }

Precision parse_precision(std::string_view name) {
  for (const Precision p : {Precision::f32, Precision::tf32, Precision::bf16})
    if (name_of(p) == name) return p;
  throw ConfigError(fmt::format("precision '{}', expected f32, tf32 or bf16", name));
}

Dtype activation_dtype(const Tensor& x) {
  if (x.dtype() != Dtype::f32 || x.device().is_cpu()) return x.dtype();
  return current == Precision::bf16 ? Dtype::bf16 : Dtype::f32;
}

Tensor stored_as(const Tensor& x, Dtype dtype) {
  return x && (x.dtype() == Dtype::bf16) != (dtype == Dtype::bf16) ? x.to(dtype) : x;
}

Tensor widened(const Tensor& x) { return stored_as(x, Dtype::f32); }

bool differ_in_storage(const Tensor& a, const Tensor& b) {
  const auto are = [&](Dtype of_a, Dtype of_b) { return a.dtype() == of_a && b.dtype() == of_b; };
  return are(Dtype::bf16, Dtype::f32) || are(Dtype::f32, Dtype::bf16);
}

PrecisionGuard::PrecisionGuard(Precision precision) : before_(current) { current = precision; }
PrecisionGuard::~PrecisionGuard() { current = before_; }

}  // namespace apprentice
