#pragma once

#include <cstdint>
#include <string_view>

namespace apprentice::kernels {

/// To what the factors of dense products (convolutions, matrix products) of f32 numbers may be
/// rounded; sums are f32 or better. A permission: a kernel that keeps more bits honours it too.
///   f32   24 significant bits
///   tf32  11: integers up to 2^11 stay exact
///   bf16  8: integers up to 2^8 stay exact
enum class Precision : uint8_t { f32, tf32, bf16 };

/// "f32", "tf32", "bf16".
constexpr std::string_view name_of(Precision precision) {
  return precision == Precision::f32 ? "f32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

/// Largest relative error of a factor: tensor cores cut off the bits that TF32 lacks.
constexpr double rounding_of(Precision precision) {
  return precision == Precision::f32 ? 0 : precision == Precision::tf32 ? 0x1p-10 : 0x1p-8;
}

}  // namespace apprentice::kernels
