#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <apprentice/base/bf16.h>
#include <apprentice/base/error.h>

namespace apprentice {

/// Element types of a Tensor. Packed 2/4-bit codes are structs of their own, never a dtype.
enum class Dtype : uint8_t { f32, f64, bf16, f16, i64, i32, i8, u8 };

/// Bytes of one element.
size_t size_of(Dtype dtype);
/// "f32", "i64", ...
std::string_view name_of(Dtype dtype);

template <class T>
struct DtypeOf;
template <>
struct DtypeOf<float> {
  static constexpr Dtype value = Dtype::f32;
};
template <>
struct DtypeOf<double> {
  static constexpr Dtype value = Dtype::f64;
};
template <>
struct DtypeOf<Bf16> {
  static constexpr Dtype value = Dtype::bf16;
};
template <>
struct DtypeOf<int64_t> {
  static constexpr Dtype value = Dtype::i64;
};
template <>
struct DtypeOf<int32_t> {
  static constexpr Dtype value = Dtype::i32;
};
template <>
struct DtypeOf<int8_t> {
  static constexpr Dtype value = Dtype::i8;
};
template <>
struct DtypeOf<uint8_t> {
  static constexpr Dtype value = Dtype::u8;
};
/// The Dtype of a C++ type.
template <class T>
inline constexpr Dtype dtype_of = DtypeOf<T>::value;

/// Calls fn.template operator()<T>() with T = float or double; DtypeError, naming `op`, otherwise.
template <class Fn>
decltype(auto) with_float(Dtype dtype, std::string_view op, Fn&& fn) {
  if (dtype == Dtype::f64) return fn.template operator()<double>();
  check<DtypeError>(dtype == Dtype::f32, "{}: got {}, expected f32 or f64", op, name_of(dtype));
  return fn.template operator()<float>();
}

}  // namespace apprentice
