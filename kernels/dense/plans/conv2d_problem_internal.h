#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>

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
  /// Bytes that the addresses of x, of w and the bias, of y and the residual are multiples of.
  std::array<int64_t, 3> alignment{};
  /// What the memory of x, w and y holds: f32 or, of x and y, bf16; a residual as y, a bias as w.
  std::array<Dtype, 3> types{Dtype::f32, Dtype::f32, Dtype::f32};
  /// What follows the sums of a forward, where a plan may do that, too: beside bf16 factors.
  bool bias = false, residual = false, relu = false;

  bool has_epilogue() const { return bias || residual || relu; }
  /// For errors, and for keys of the plan cache.
  std::string text() const;
  friend bool operator<(const ConvProblem& a, const ConvProblem& b);
};

/// Which of x, w and y is computed.
size_t result_of(ConvKind kind);

/// A view without its type.
struct ConvTensor {
  template <class T>
  ConvTensor(const View4<T>& view)
      : data(view.data), sizes(view.sizes), dtype(dtype_of<std::remove_const_t<T>>) {}
  const void* data;
  std::array<int64_t, 4> sizes;
  Dtype dtype;
};
ConvProblem make_problem(ConvKind kind, Precision precision, const Conv2dGeometry& geometry,
                         const ConvTensor& x, const ConvTensor& w, const ConvTensor& y);
/// Adds what follows a forward in precision bf16; bias and residual null where absent.
void add_epilogue(ConvProblem& problem, const void* bias, const void* residual, bool relu);

/// The problem of the arguments of Conv2d or one of its gradients, w in f32.
template <class Args>
ConvProblem problem_of(const Args& a) {
  if constexpr (requires { a.grad_w; }) {
    return make_problem(ConvKind::backward_weight, a.precision, a.geometry, a.x, a.grad_w,
                        a.grad_y);
  } else if constexpr (requires { a.grad_x; }) {
    return make_problem(ConvKind::backward_data, a.precision, a.geometry, a.grad_x, a.w, a.grad_y);
  } else {
    ConvProblem p = make_problem(ConvKind::forward, a.precision, a.geometry, a.x, a.w, a.y);
    add_epilogue(p, a.bias.data, a.residual.data, a.relu);
    return p;
  }
}

/// Sizes and steps of the axes in the order (n, c, h, w), in which cuDNN names them.
struct PlanarDims {
  std::array<int64_t, 4> sizes, steps;
};
/// Of dense memory [n, h, w, c]; of weights [out, kh, kw, in] just so.
PlanarDims planar_dims(const std::array<int64_t, 4>& sizes);

/// The largest of 16, 8, 4, 2, 1 that divides the address.
int64_t alignment_of(const void* data);

}  // namespace apprentice::kernels::dense
