#include <catch2/catch.hpp>

#include <apprentice/core/autograd.h>
#include <apprentice/core/tensor.h>

using namespace apprentice;

TEST_CASE("copies, slices and reshapes share memory, clone does not") {
  const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor handle = x, rows = x.slice(1, 3), flat = x.reshape({-1}), copy = x.clone();
  handle.data<float>()[2] = 30;
  CHECK(rows.to_vector<float>() == std::vector<float>{30, 4, 5, 6});
  CHECK(rows.reshape({4}).slice(1, 2).item() == 4);
  CHECK(flat.to_vector<float>()[2] == 30);
  CHECK(copy.to_vector<float>()[2] == 3);
  rows.fill(0);
  CHECK(x.to_vector<float>() == std::vector<float>{1, 2, 0, 0, 0, 0});
}

TEST_CASE("reshape infers one size and refuses what does not fit") {
  const Tensor x = Tensor::zeros({2, 3, 4});
  CHECK(x.reshape({6, -1}).shape() == Shape{6, 4});
  CHECK(x.reshape({-1}).shape() == Shape{24});
  CHECK_THROWS_AS(x.reshape({5, -1}), ShapeError);
  CHECK_THROWS_AS(x.reshape({-1, -1}), ShapeError);
  CHECK_THROWS_AS(x.reshape({25}), ShapeError);
  CHECK_THROWS_AS(Tensor::zeros({0}).reshape({0, -1}), ShapeError);
  CHECK_THROWS_AS(x.slice(1, 3), ShapeError);
  CHECK_THROWS_AS(x.slice(-1, 1), ShapeError);
}

TEST_CASE("elements are converted between every two types with arithmetic") {
  const Tensor x = Tensor::from<int64_t>({0, 1, 2, 100}, {4});
  const auto all = {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::i64,
                    Dtype::i32, Dtype::i8,  Dtype::u8};
  for (Dtype a : all)
    for (Dtype b : all)
      CHECK(x.to(a).to(b).to_vector<double>() == std::vector<double>{0, 1, 2, 100});
}

TEST_CASE("access by a wrong type or rank is an error") {
  Tensor x = Tensor::zeros({2, 3});
  CHECK_THROWS_AS(x.data<double>(), DtypeError);
  CHECK_THROWS_AS((x.view<float, 3>()), ShapeError);
  CHECK_THROWS_AS(x.item(), ShapeError);
  CHECK_THROWS_AS(x.copy_from(Tensor::zeros({3, 2})), ShapeError);
  CHECK_THROWS_AS(Tensor().shape(), Error);
  CHECK_THROWS_AS(Tensor::from<float>({1, 2}, {3}), ShapeError);
  CHECK_FALSE(Tensor().defined());
}

TEST_CASE("a scalar has one element and no axes") {
  const Tensor x = Tensor::scalar(1.5, Dtype::f64);
  CHECK(x.rank() == 0);
  CHECK(x.numel() == 1);
  CHECK(x.item() == 1.5);
}

TEST_CASE("random tensors are a pure function of the generator's key") {
  Rng a(3, RngPurpose::init), b(3, RngPurpose::init), c(4, RngPurpose::init);
  const auto first = Tensor::uniform({100}, -1, 2, a).to_vector<float>();
  CHECK(first == Tensor::uniform({100}, -1, 2, b).to_vector<float>());
  CHECK(first != Tensor::uniform({100}, -1, 2, c).to_vector<float>());
  for (float v : first) CHECK((v >= -1 && v < 2));
  double square = 0;
  const int64_t n = 10000;
  for (float v : Tensor::normal({n}, 0, 3, a).to_vector<float>()) square += double(v) * v;
  // The mean square of n normal values is 9 with deviation 9 sqrt(2 / n) = 0.13; six of those.
  CHECK(square / double(n) == Approx(9).margin(0.8));
}

TEST_CASE("an undefined tensor that is written to is an error") {
  Tensor none;
  CHECK_THROWS_WITH(none.fill(1), "tensor: undefined tensor used");
  CHECK_THROWS_WITH(none.bytes(), "tensor: undefined tensor used");
}
