#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/ops/shape.h>

using namespace apprentice;

namespace {

Tensor values(const std::vector<float>& v) { return Tensor::from(v, {int64_t(v.size())}); }
std::vector<float> list(const Tensor& t) { return t.to_vector<float>(); }
std::vector<float> grad_of_sum(const std::function<Tensor(const Tensor&)>& f, Tensor x) {
  x.set_requires_grad();
  sum(f(x)).backward();
  return list(x.grad());
}

}  // namespace

TEST_CASE("broadcasting is NumPy's") {
  const Tensor column = Tensor::from<float>({1, 2}, {2, 1});
  const Tensor row = values({10, 20, 30});
  CHECK((column + row).shape() == Shape{2, 3});
  CHECK(list(column + row) == std::vector<float>{11, 21, 31, 12, 22, 32});
  CHECK(list(row - column) == std::vector<float>{9, 19, 29, 8, 18, 28});
  CHECK((Tensor::zeros({0, 3}) * row).shape() == Shape{0, 3});
  CHECK_THROWS_AS(row + Tensor::zeros({2}), ShapeError);
  CHECK_THROWS_AS(row + row.to(Dtype::f64), DtypeError);
  CHECK_THROWS_AS(Tensor::zeros({2}, Dtype::i64) + Tensor::zeros({2}, Dtype::i64), DtypeError);
}

TEST_CASE("numbers stand on either side") {
  const Tensor x = values({1, 4});
  CHECK(list(2 - x) == std::vector<float>{1, -2});
  CHECK(list(x - 2) == std::vector<float>{-1, 2});
  CHECK(list(2 / x) == std::vector<float>{2, 0.5});
  CHECK(list(x / 2) == std::vector<float>{0.5, 2});
  CHECK(list(-(2 * x + 1) * 2) == std::vector<float>{-6, -18});
}

TEST_CASE("round is to the nearest, half to even") {
  CHECK(list(round(values({0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 2.51}))) ==
        std::vector<float>{0, 2, 2, 0, -2, 0, 3});
  CHECK(list(sign(values({-2, 0, 3}))) == std::vector<float>{-1, 0, 1});
  Tensor x = values({1}).set_requires_grad();
  CHECK_FALSE(round(x).requires_grad());
  CHECK_FALSE(sign(x).requires_grad());
}

TEST_CASE("gradients at the kinks are those that the headers state") {
  using F = std::vector<float>;
  CHECK(grad_of_sum(relu, values({-1, 0, 1})) == F{0, 0, 1});
  CHECK(grad_of_sum(relu6, values({0, 3, 6, 7})) == F{0, 1, 0, 0});
  CHECK(grad_of_sum([](auto& x) { return hardtanh(x); }, values({-1, 0, 1})) == F{0, 1, 0});
  CHECK(grad_of_sum(hardswish, values({-3, 3})) == F{0, 1});
  CHECK(grad_of_sum([](auto& x) { return abs(x); }, values({-2, 0, 2})) == F{-1, 0, 1});
  CHECK(grad_of_sum([](auto& x) { return clamp(x, -1, 1); }, values({-1, 0, 1, 1.5})) ==
        F{1, 1, 1, 0});
  CHECK(grad_of_sum([](auto& x) { return maximum(x, 1); }, values({0, 1, 2})) == F{0, 0.5, 1});
  CHECK(grad_of_sum([](auto& x) { return minimum(x, 1); }, values({0, 1, 2})) == F{1, 0.5, 0});
  CHECK(grad_of_sum([](auto& x) { return max(x); }, values({1, 3, 3})) == F{0, 1, 0});
}

TEST_CASE("no activation hides a NaN or overflows") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (auto* op : {relu, relu6, sigmoid, &apprentice::tanh, gelu, silu, softplus, hardswish})
    CHECK(std::isnan(op(values({nan})).item()));
  CHECK(std::isnan(maximum(values({nan}), values({1})).item()));
  CHECK(std::isnan(maximum(values({1}), values({nan})).item()));
  CHECK(std::isnan(clamp(values({nan}), 0, 1).item()));
  CHECK(list(sigmoid(values({-1000, 1000}))) == std::vector<float>{0, 1});
  CHECK(list(softplus(values({-1000, 1000}))) == std::vector<float>{0, 1000});
  CHECK(list(silu(values({-1000, 1000}))) == std::vector<float>{0, 1000});
}

TEST_CASE("reductions take one axis or all") {
  const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(sum(x).item() == 21);
  CHECK(list(sum(x, 0)) == std::vector<float>{5, 7, 9});
  CHECK(mean(x, -1, true).shape() == Shape{2, 1});
  CHECK(list(mean(x, -1)) == std::vector<float>{2, 5});
  CHECK(list(max(x, 0)) == std::vector<float>{4, 5, 6});
  CHECK(argmax(x, 1).to_vector<int64_t>() == std::vector<int64_t>{2, 2});
  CHECK(argmax(values({1, 7, 7}), 0).to_vector<int64_t>() == std::vector<int64_t>{1});
  CHECK(argmax(x, 1).dtype() == Dtype::i64);
  CHECK_THROWS_AS(sum(x, 2), ShapeError);
  CHECK_THROWS_AS(mean(Tensor::zeros({0})), ShapeError);
  CHECK_THROWS_AS(max(Tensor::zeros({2, 0}), 1), ShapeError);
}

TEST_CASE("rearranging keeps elements of any type") {
  const Tensor x = Tensor::from<uint8_t>({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(transpose(x, 0, 1).to_vector<uint8_t>() == std::vector<uint8_t>{1, 4, 2, 5, 3, 6});
  CHECK(concat({x, x}, 1).to_vector<uint8_t>() ==
        std::vector<uint8_t>{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6});
  CHECK(broadcast_to(x.slice(0, 1), {2, 3}).to_vector<uint8_t>() ==
        std::vector<uint8_t>{1, 2, 3, 1, 2, 3});
  CHECK_THROWS_AS(permute(x, {0, 0}), ShapeError);
  CHECK_THROWS_AS(permute(x, {0}), ShapeError);
  CHECK_THROWS_AS(concat({x, Tensor::zeros({2, 3})}, 0), DtypeError);
  CHECK_THROWS_AS(concat({x, transpose(x, 0, 1)}, 0), ShapeError);
  CHECK_THROWS_AS(broadcast_to(x, {3, 3}), ShapeError);
}
