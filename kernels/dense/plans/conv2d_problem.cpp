#include <fmt/core.h>

#include <tuple>

#include <apprentice/kernels/dense/plans/conv2d_problem_internal.h>

namespace apprentice::kernels::dense {
namespace {

auto fields(const ConvProblem& p) {
  const Conv2dGeometry& g = p.geometry;
  return std::tie(p.kind, p.precision, p.x, p.w, p.y, g.stride, g.padding, g.dilation, g.groups,
                  p.alignment);
}

template <size_t N>
std::string joined(const std::array<int64_t, N>& values) {
  std::string text;
  for (int64_t v : values) text += fmt::format("{}{}", text.empty() ? "" : "x", v);
  return text;
}

ConvProblem problem(ConvKind kind, Precision precision, const Conv2dGeometry& geometry,
                    const View4<const float>& x, const View4<const float>& w,
                    const View4<const float>& y) {
  return {kind,
          precision,
          x.sizes,
          w.sizes,
          y.sizes,
          geometry,
          {alignment_of(x.data), alignment_of(w.data), alignment_of(y.data)}};
}

}  // namespace

bool operator<(const ConvProblem& a, const ConvProblem& b) { return fields(a) < fields(b); }

std::string ConvProblem::text() const {
  constexpr const char* kNames[] = {"conv2d", "conv2d_backward_data", "conv2d_backward_weight"};
  return fmt::format(
      "{} {} x nhwc {} w ohwi {} y {} stride {} padding {} dilation {} groups {} aligned {}",
      kNames[size_t(kind)], name_of(precision), joined(x), joined(w), joined(y),
      joined(geometry.stride), joined(geometry.padding), joined(geometry.dilation), geometry.groups,
      joined(alignment));
}

ConvProblem problem_of(const Conv2d<float>::Args& a) {
  return problem(ConvKind::forward, a.precision, a.geometry, a.x, a.w, a.y);
}
ConvProblem problem_of(const Conv2dBackwardData<float>::Args& a) {
  return problem(ConvKind::backward_data, a.precision, a.geometry, a.grad_x, a.w, a.grad_y);
}
ConvProblem problem_of(const Conv2dBackwardWeight<float>::Args& a) {
  return problem(ConvKind::backward_weight, a.precision, a.geometry, a.x, a.grad_w, a.grad_y);
}

PlanarDims planar_dims(const std::array<int64_t, 4>& sizes) {
  const auto [n, h, w, c] = sizes;
  return {{n, c, h, w}, {h * w * c, 1, w * c, c}};
}

int64_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data);
  int64_t bytes = 16;
  while (address % uintptr_t(bytes)) bytes /= 2;
  return bytes;
}

}  // namespace apprentice::kernels::dense
