#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <apprentice/kernels/conv2d.h>

namespace apprentice::kernels::dense {

enum class ConvKind : uint8_t { forward, backward_data, backward_weight };

/// A convolution or one of its gradients as a vendor library plans it: everything that its choice
/// of an algorithm depends on, and nothing else. Whatever is computed, `x`, `w` and `y` are the
/// image, the weight and the output or their gradients.
struct ConvProblem {
  ConvKind kind = ConvKind::forward;
  Precision precision = Precision::f32;
  std::array<int64_t, 4> x{}, w{},
      y{};  ///< [n, h, w, c], [out, kh, kw, c / groups], [n, p, q, out]
  Conv2dGeometry geometry;
  std::array<int64_t, 3> alignment{};  ///< bytes that the addresses of x, w, y are multiples of

  /// For errors, and for keys of the plan cache.
  std::string text() const;
  friend bool operator<(const ConvProblem& a, const ConvProblem& b);
};

ConvProblem problem_of(const Conv2d<float>::Args& args);
ConvProblem problem_of(const Conv2dBackwardData<float>::Args& args);
ConvProblem problem_of(const Conv2dBackwardWeight<float>::Args& args);

/// Sizes and steps of the axes in the order (n, c, h, w), in which cuDNN names them.
struct PlanarDims {
  std::array<int64_t, 4> sizes, steps;
};
/// Of dense memory [n, h, w, c]; of weights [out, kh, kw, in] just so.
PlanarDims planar_dims(const std::array<int64_t, 4>& sizes);

/// The largest of 16, 8, 4, 2, 1 that divides the address.
int64_t alignment_of(const void* data);

}  // namespace apprentice::kernels::dense
