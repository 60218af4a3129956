#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/plans/conv2d_problem_internal.h>
#include <apprentice/kernels/dense/plans/engine_name_internal.h>
#include <apprentice/kernels/dense/plans/gemm_problem_internal.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::kernels;
using namespace apprentice::kernels::dense;
using Sizes = std::array<int64_t, 4>;

namespace {

/// Element (row, column) of a column-major matrix.
float at(const ColumnMajor& matrix, const std::vector<float>& memory, int64_t row, int64_t column) {
  return memory[size_t(row + column * matrix.ld)];
}

std::vector<float> numbers(int64_t n, float from) {
  std::vector<float> values(size_t(n), 0.0f);
  for (float& v : values) v = from++;
  return values;
}

}  // namespace

TEST_CASE("planar dims name the element that an NHWC view names") {
  std::vector<float> memory(2 * 3 * 5 * 7);
  const View4<float> view{memory.data(), {2, 3, 5, 7}};
  const PlanarDims dims = planar_dims(view.sizes);
  CHECK(dims.sizes == Sizes{2, 7, 3, 5});
  for (const Sizes& index : {Sizes{0, 0, 0, 0}, {1, 2, 4, 6}, {1, 0, 3, 2}, {0, 2, 0, 5}}) {
    const auto [n, h, w, c] = index;
    const int64_t offset =
        n * dims.steps[0] + c * dims.steps[1] + h * dims.steps[2] + w * dims.steps[3];
    CHECK(&view(n, h, w, c) - memory.data() == offset);
  }
}

TEST_CASE("a column-major library that multiplies the described factors computes the gemm") {
  const bool ta = GENERATE(false, true), tb = GENERATE(false, true);
  CAPTURE(ta, tb);
  const int64_t m = 3, n = 4, k = 5;
  const std::vector<float> a = numbers(m * k, 1), b = numbers(k * n, -7), bias = numbers(n, 100);
  std::vector<float> c(size_t(m * n));
  using Two = std::array<int64_t, 2>;
  Gemm<float>::Args args;
  args.a = {a.data(), ta ? Two{k, m} : Two{m, k}};
  args.b = {b.data(), tb ? Two{n, k} : Two{k, n}};
  args.bias = {bias.data(), {n}};
  args.c = {c.data(), {m, n}};
  args.transpose_a = ta, args.transpose_b = tb;
  const GemmProblem p = problem_of(args);
  const ColumnMajor first = p.first(), second = p.second(), out = p.out();
  const auto op = [](const ColumnMajor& matrix, const std::vector<float>& memory, int64_t i,
                     int64_t j) {
    return matrix.transposed ? at(matrix, memory, j, i) : at(matrix, memory, i, j);
  };
  // What cublasLtMatmul does: out = op(first) op(second), bias along the rows.
  REQUIRE((first.transposed ? first.cols : first.rows) == out.rows);
  REQUIRE((second.transposed ? second.rows : second.cols) == out.cols);
  REQUIRE((first.transposed ? first.rows : first.cols) ==
          (second.transposed ? second.cols : second.rows));
  for (int64_t i = 0; i < out.rows; ++i)
    for (int64_t j = 0; j < out.cols; ++j) {
      float sum = bias[size_t(i)];
      for (int64_t l = 0; l < k; ++l) sum += op(first, b, i, l) * op(second, a, l, j);
      c[size_t(i + j * out.ld)] = sum;
    }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float expected = bias[size_t(j)];
      for (int64_t l = 0; l < k; ++l)
        expected += (ta ? args.a(l, i) : args.a(i, l)) * (tb ? args.b(j, l) : args.b(l, j));
      CHECK(args.c(i, j) == expected);
    }
}

TEST_CASE("whatever a convolution's plan depends on is in its order and its text") {
  alignas(16) float memory[64] = {};
  Conv2d<float>::Args args;
  args.x = {memory, {1, 4, 4, 2}};
  args.w = {memory, {2, 3, 3, 2}};
  args.y = {memory, {1, 2, 2, 2}};
  std::vector<ConvProblem> problems{problem_of(args)};
  const auto with = [&](auto change) {
    Conv2d<float>::Args other = args;
    change(other);
    problems.push_back(problem_of(other));
  };
  with([](auto& a) { a.x.sizes[0] = 2; });
  with([](auto& a) { a.w.sizes[0] = 4; });
  with([](auto& a) { a.y.sizes[3] = 4; });
  with([](auto& a) { a.geometry.stride = {1, 2}; });
  with([](auto& a) { a.geometry.padding = {1, 0}; });
  with([](auto& a) { a.geometry.dilation = {2, 1}; });
  with([](auto& a) { a.geometry.groups = 2; });
  with([](auto& a) { a.precision = Precision::tf32; });
  with([&](auto& a) { a.x.data = memory + 1; });
  with([&](auto& a) { a.w.data = memory + 2; });
  with([&](auto& a) { a.y.data = memory + 1; });
  const auto narrow = [&](const auto& of) { problems.push_back(problem_of(of)); };
  alignas(16) Bf16 short_memory[64] = {};
  narrow(
      Conv2d<float, Bf16, float>::Args{{short_memory, args.x.sizes}, args.w, {}, {}, args.y, {}});
  narrow(
      Conv2d<float, float, Bf16>::Args{args.x, args.w, {}, {}, {short_memory, args.y.sizes}, {}});
  narrow(Conv2d<float, Bf16, Bf16>::Args{
      {short_memory, args.x.sizes}, args.w, {}, {}, {short_memory, args.y.sizes}, {}});
  // What follows the sums is part of a plan in bf16 only.
  const auto bf16_with = [&](auto change) {
    with([&](auto& a) {
      a.precision = Precision::bf16;
      change(a);
    });
  };
  bf16_with([](auto&) {});
  bf16_with([&](auto& a) { a.bias = {memory, {2}}; });
  bf16_with([&](auto& a) { a.residual = args.y; });
  bf16_with([](auto& a) { a.relu = true; });
  problems.push_back(
      problem_of(Conv2dBackwardData<float>::Args{args.y, args.w, {memory, {1, 4, 4, 2}}, {}}));
  problems.push_back(problem_of(
      Conv2dBackwardWeight<float>::Args{args.x, args.y, {memory, {2, 3, 3, 2}}, {}, {}}));
  std::set<std::string> texts;
  for (const ConvProblem& p : problems) texts.insert(p.text());
  CHECK(texts.size() == problems.size());
  CHECK(std::set<ConvProblem>(problems.begin(), problems.end()).size() == problems.size());
  CHECK(problems[0].text() ==
        "conv2d f32 x nhwc 1x4x4x2 w ohwi 2x3x3x2 y 1x2x2x2 stride 1x1 padding 0x0 dilation 1x1 "
        "groups 1 aligned 16x16x16");
  CHECK(problems[9].alignment == std::array<int64_t, 3>{4, 16, 16});
  Conv2d<float>::Args with_relu = args;
  with_relu.relu = true;
  CHECK(problem_of(with_relu).text() == problems[0].text());
}

TEST_CASE("whatever a product's plan depends on is in its order and its text") {
  alignas(16) float memory[64] = {};
  Gemm<float>::Args args;
  args.a = args.b = {memory, {4, 4}};
  args.c = {memory, {4, 4}};
  std::vector<GemmProblem> problems{problem_of(args)};
  const auto with = [&](auto change) {
    Gemm<float>::Args other = args;
    change(other);
    problems.push_back(problem_of(other));
  };
  with([](auto& a) { a.a.sizes[1] = 2; });
  with([](auto& a) { a.c.sizes[0] = 2; });
  with([](auto& a) { a.c.sizes[1] = 2; });
  with([](auto& a) { a.transpose_a = true; });
  with([](auto& a) { a.transpose_b = true; });
  with([&](auto& a) { a.bias = {memory, {4}}; });
  with([](auto& a) { a.accumulate = true; });
  with([](auto& a) { a.precision = Precision::bf16; });
  with([&](auto& a) { a.a.data = memory + 1; });
  with([&](auto& a) { a.b.data = memory + 1; });
  with([&](auto& a) { a.c.data = memory + 2; });
  std::set<std::string> texts;
  for (const GemmProblem& p : problems) texts.insert(p.text());
  CHECK(texts.size() == problems.size());
  CHECK(std::set<GemmProblem>(problems.begin(), problems.end()).size() == problems.size());
}

TEST_CASE("the name of an engine is read as it was written, and other texts are errors") {
  for (const char* text : {"eng0", "eng70 k2=4 k18=0", "eng41 k2=0 k12=-1 k13=2"}) {
    CAPTURE(text);
    CHECK(parse_engine(text).text() == text);
  }
  const EngineName name{7, {{24, 29}, {2, -1}}};
  CHECK(name.text() == "eng7 k2=-1 k24=29");
  CHECK(parse_engine(name.text()).knobs == decltype(name.knobs){{2, -1}, {24, 29}});
  for (const char* text : {"", "eng", "engine 1", "eng1 k", "eng1 k2", "eng1 k2=", "eng1 k2=1,",
                           "eng1  k2=1", "eng1 k2=99999999999999999999", " eng1"})
    CHECK(test::throws<DeviceError>([&] { parse_engine(text); }, "no name of an engine") == "");
}
