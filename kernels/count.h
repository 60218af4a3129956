#pragma once

#include <cstdint>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// Rows whose largest value, the first of equals, stands at the label:
///   count[0] = #{ i : argmax_j logits[i,j] == labels[i] }
///   logits [n, c] without NaN, labels [n], count [1]; exact below 2^24 rows.
template <class T>
struct CountCorrect {
  static constexpr std::string_view name = "count_correct", types = types_of<T>;
  struct Args {
    View2<const T> logits;
    View1<const int64_t> labels;
    View1<T> count;
  };
};

/// How many of a sample of codes lie on either of two: the sample is one block of kBlock codes in
/// every kEvery blocks, the first included. T is f32 or bf16.
///   counts[p] = those of the sampled blocks p, p + parts, ... that are `low` or `top`
///   codes [n], counts [parts]; the sum over the parts is exact below 2^24
template <class T>
struct CountCodes {
  static constexpr std::string_view name = "count_codes", types = types_of<T>;
  static constexpr int64_t kBlock = 64, kEvery = 16;
  struct Args {
    View1<const T> codes;
    compute_of<T> low = 0, top = 0;
    View1<compute_of<T>> counts;
  };
  /// Sampled blocks of n codes, and the codes in them.
  static constexpr int64_t blocks(int64_t n) {
    return (n + kBlock * kEvery - 1) / (kBlock * kEvery);
  }
  static constexpr int64_t sampled(int64_t n) {
    const int64_t whole = n / (kBlock * kEvery), rest = n % (kBlock * kEvery);
    return whole * kBlock + (rest < kBlock ? rest : kBlock);
  }
};

}  // namespace apprentice::kernels
