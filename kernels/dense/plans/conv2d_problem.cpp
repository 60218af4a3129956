#include <fmt/core.h>

#include <algorithm>
#include <tuple>

#include <apprentice/kernels/dense/plans/conv2d_problem_internal.h>

namespace apprentice::kernels::dense {
namespace {

auto fields(const ConvProblem& p) {
  const Conv2dGeometry& g = p.geometry;
  return std::tie(p.kind, p.precision, p.x, p.w, p.y, g.stride, g.padding, g.dilation, g.groups,
                  p.alignment, p.types, p.bias, p.residual, p.relu);
}

template <size_t N>
std::string joined(const std::array<int64_t, N>& values) {
  std::string text;
  for (int64_t v : values) text += fmt::format("{}{}", text.empty() ? "" : "x", v);
  return text;
}

/// "1x4x4x2", "1x4x4x2 bf16".
std::string described(const std::array<int64_t, 4>& sizes, Dtype dtype) {
  return joined(sizes) + (dtype == Dtype::f32 ? "" : fmt::format(" {}", name_of(dtype)));
}

}  // namespace

bool operator<(const ConvProblem& a, const ConvProblem& b) { return fields(a) < fields(b); }

std::string ConvProblem::text() const {
  constexpr const char* kNames[] = {"conv2d", "conv2d_backward_data", "conv2d_backward_weight"};
  return fmt::format(
      "{} {} x nhwc {} w ohwi {} y {} stride {} padding {} dilation {} groups {} aligned {}{}{}{}",
      kNames[size_t(kind)], name_of(precision), described(x, types[0]), described(w, types[1]),
      described(y, types[2]), joined(geometry.stride), joined(geometry.padding),
      joined(geometry.dilation), geometry.groups, joined(alignment), bias ? " bias" : "",
      residual ? " residual" : "", relu ? " relu" : "");
}

size_t result_of(ConvKind kind) {
  constexpr std::array<size_t, 3> kResults{2, 0, 1};
  return kResults[size_t(kind)];
}

ConvProblem make_problem(ConvKind kind, Precision precision, const Conv2dGeometry& geometry,
                         const ConvTensor& x, const ConvTensor& w, const ConvTensor& y) {
  ConvProblem p{kind, precision, x.sizes, w.sizes, y.sizes, geometry};
  p.alignment = {alignment_of(x.data), alignment_of(w.data), alignment_of(y.data)};
  p.types = {x.dtype, w.dtype, y.dtype};
  return p;
}

void add_epilogue(ConvProblem& p, const void* bias, const void* residual, bool relu) {
  if (p.precision != Precision::bf16) return;
  p.bias = bias, p.residual = residual, p.relu = relu;
  p.alignment[1] = std::min(p.alignment[1], alignment_of(bias));
  p.alignment[2] = std::min(p.alignment[2], alignment_of(residual));
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
