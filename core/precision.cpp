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

PrecisionGuard::PrecisionGuard(Precision precision) : before_(current) { current = precision; }
PrecisionGuard::~PrecisionGuard() { current = before_; }

}  // namespace apprentice
