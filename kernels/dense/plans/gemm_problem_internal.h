#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <apprentice/kernels/gemm.h>

namespace apprentice::kernels::dense {

/// A matrix of a column-major library: rows x cols, `ld` elements from one column to the next.
struct ColumnMajor {
  int64_t rows, cols, ld;
  bool transposed;  ///< the product takes its transpose
};

/// A product as a column-major library plans it. Row-major memory of a matrix is the column-major
/// memory of its transpose, so the library computes the transpose of ours, factors exchanged:
///   c^T [n, m] = op(b)^T [n, k]  op(a)^T [k, m]
/// `first` is b's memory, `second` a's, `out` c's; bias [n] runs along out's rows.
struct GemmProblem {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false, bias = false, accumulate = false;
  Precision precision = Precision::f32;
  std::array<int64_t, 4> alignment{};  ///< bytes that the addresses of a, b, bias, c divide by

  ColumnMajor first() const;
  ColumnMajor second() const;
  ColumnMajor out() const;
  /// For errors, and for keys of the plan cache.
  std::string text() const;
  friend bool operator<(const GemmProblem& a, const GemmProblem& b);
};

GemmProblem problem_of(const Gemm<float>::Args& args);

}  // namespace apprentice::kernels::dense
