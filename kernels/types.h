#pragma once

#include <cstdint>
#include <string_view>

#include <apprentice/base/bf16.h>
#include <apprentice/base/dtype.h>

namespace apprentice::kernels {

/// "f32", "f64", "u8": the `types` of an operation that is a template on T.
template <class T>
inline constexpr std::string_view types_of = "";
template <>
inline constexpr std::string_view types_of<float> = "f32";
template <>
inline constexpr std::string_view types_of<double> = "f64";
template <>
inline constexpr std::string_view types_of<Bf16> = "bf16";
template <>
inline constexpr std::string_view types_of<uint8_t> = "u8";
template <>
inline constexpr std::string_view types_of<int8_t> = "s8";
template <>
inline constexpr std::string_view types_of<int32_t> = "s32";
template <>
inline constexpr std::string_view types_of<int64_t> = "s64";

/// Distance from 1 to the next number of type T: twice the largest relative error of one rounding.
template <class T>
inline constexpr double epsilon_of = 0x1p-23;
template <>
inline constexpr double epsilon_of<double> = 0x1p-52;
template <>
inline constexpr double epsilon_of<Bf16> = 0x1p-7;

/// What kernels compute in on tensors of T: T itself, but f32 for bf16, which is storage only.
/// Elements are widened as they are read and rounded once, from the f32 result, as they are
/// written, so a kernel of bf16 tensors gives the rounded outputs of its f32 kernel bit for bit.
template <class T>
struct ComputeOf {
  using Type = T;
};
template <>
struct ComputeOf<Bf16> {
  using Type = float;
};
template <class T>
using compute_of = typename ComputeOf<T>::Type;

/// The `types` of an operation that computes in T and whose large inputs are of X, outputs of Y:
/// "f32", "bf16" (f32; bf16, bf16), "f32_bf16" (f32; f32, bf16), "bf16_f32" (f32; bf16, f32).
template <class T, class X, class Y>
struct LayerTypes {};
template <class T>
struct LayerTypes<T, T, T> {
  static constexpr std::string_view value = types_of<T>;
};
template <>
struct LayerTypes<float, Bf16, Bf16> {
  static constexpr std::string_view value = "bf16";
};
template <>
struct LayerTypes<float, float, Bf16> {
  static constexpr std::string_view value = "f32_bf16";
};
template <>
struct LayerTypes<float, Bf16, float> {
  static constexpr std::string_view value = "bf16_f32";
};
template <class T, class X, class Y>
inline constexpr std::string_view layer_types_of = LayerTypes<T, X, Y>::value;

}  // namespace apprentice::kernels
