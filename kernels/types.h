#pragma once

#include <cstdint>
#include <string_view>

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

}  // namespace apprentice::kernels
