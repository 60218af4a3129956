#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// Counts the NaNs and infinities of many tensors at once. Counts are added to what is there, so
/// that one look tells of all the steps since they were set to 0:
///   counts[i] += how many elements of tensors[i] are not finite
///   total[0]  += the sum of these
///   tensors   any number of [n]; the list itself is host memory, read before run() returns
///   counts    [tensors], or absent
///   total     [1], or absent
template <class T>
struct NonFinite {
  static constexpr std::string_view name = "non_finite", types = types_of<T>;
  struct Args {
    std::span<const View1<const T>> tensors;
    View1<int64_t> counts, total;
  };
};

}  // namespace apprentice::kernels
