#include <fmt/core.h>

#include <tuple>

#include <apprentice/kernels/dense/plans/conv2d_problem_internal.h>
#include <apprentice/kernels/dense/plans/gemm_problem_internal.h>

namespace apprentice::kernels::dense {
namespace {

auto fields(const GemmProblem& p) {
  return std::tie(p.m, p.n, p.k, p.transpose_a, p.transpose_b, p.bias, p.accumulate, p.precision,
                  p.alignment);
}

}  // namespace

bool operator<(const GemmProblem& a, const GemmProblem& b) { return fields(a) < fields(b); }

ColumnMajor GemmProblem::first() const {
  if (transpose_b) return {k, n, k, true};
  return {n, k, n, false};
}
ColumnMajor GemmProblem::second() const {
  if (transpose_a) return {m, k, m, true};
  return {k, m, k, false};
}
ColumnMajor GemmProblem::out() const { return {n, m, n, false}; }

std::string GemmProblem::text() const {
  return fmt::format("gemm {} {}x{}x{} {}{}{}{} aligned {}x{}x{}x{}", name_of(precision), m, n, k,
                     transpose_a ? 't' : 'n', transpose_b ? 't' : 'n', bias ? " bias" : "",
                     accumulate ? " accumulate" : "", alignment[0], alignment[1], alignment[2],
                     alignment[3]);
}

GemmProblem problem_of(const Gemm<float>::Args& a) {
  GemmProblem p;
  p.m = a.c.size(0), p.n = a.c.size(1);
  p.k = a.transpose_a ? a.a.size(0) : a.a.size(1);
  p.transpose_a = a.transpose_a, p.transpose_b = a.transpose_b;
  p.bias = bool(a.bias), p.accumulate = a.accumulate;
  p.precision = a.precision;
  p.alignment = {alignment_of(a.a.data), alignment_of(a.b.data), alignment_of(a.bias.data),
                 alignment_of(a.c.data)};
  return p;
}

}  // namespace apprentice::kernels::dense
