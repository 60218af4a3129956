#include <string_view>

#include <catch2/catch.hpp>

#include <thread>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>

using namespace apprentice;

namespace {

Tensor leaf(const std::vector<float>& values) {
  Tensor t = Tensor::from(values, {int64_t(values.size())});
  return t.set_requires_grad();
}
std::vector<float> grad_of(const Tensor& t) { return t.grad().to_vector<float>(); }

}  // namespace

TEST_CASE("backward adds to the gradient that is there") {
  Tensor x = leaf({1, 2});
  sum(square(x)).backward();
  CHECK(grad_of(x) == std::vector<float>{2, 4});
  sum(3 * x).backward();
  CHECK(grad_of(x) == std::vector<float>{5, 7});
}

TEST_CASE("two leaves that get one gradient do not share its memory") {
  Tensor a = leaf({1}), b = leaf({2});
  sum(a + b).backward();
  sum(a * 5).backward();
  CHECK(grad_of(a) == std::vector<float>{6});
  CHECK(grad_of(b) == std::vector<float>{1});
}

TEST_CASE("a gradient that two operations share is not added to in place") {
  Tensor x = leaf({1}), y = leaf({1});
  const Tensor a = x * 2, b = y * 3;
  const Tensor more = a * 5, both = a + b;  // the gradient of `both` goes to a and b as it is
  sum(both + more).backward();
  CHECK(grad_of(x) == std::vector<float>{12});
  CHECK(grad_of(y) == std::vector<float>{3});
}

TEST_CASE("the upstream gradient that the caller passes is not written to") {
  Tensor x = leaf({1, 2});
  const Tensor upstream = Tensor::from<float>({10, 20}, {2});
  (x + 1).backward(upstream);
  sum(x).backward();
  CHECK(grad_of(x) == std::vector<float>{11, 21});
  CHECK(upstream.to_vector<float>() == std::vector<float>{10, 20});
}

TEST_CASE("a diamond gives the sum over both roads, each node once") {
  Tensor x = leaf({3});
  int calls = 0;
  const Tensor y = record("once", x.clone(), {x}, [&](const Tensor& g) {
    ++calls;
    return std::vector{g};
  });
  const Tensor left = square(y), right = y * 4;
  sum(left * right + left).backward();  // 4 y^3 + y^2
  CHECK(grad_of(x) == std::vector<float>{12 * 9 + 2 * 3});
  CHECK(calls == 1);
}

TEST_CASE("the hook of a leaf runs once a backward, with the whole gradient") {
  Tensor x = leaf({2}), w = leaf({5});
  std::vector<float> seen;
  x.on_grad_ready([&](Tensor& t) { seen.push_back(grad_of(t)[0]); });
  sum(x * w + x * 3 + square(x)).backward();
  CHECK(seen == std::vector<float>{12});
  sum(x * 1).backward();
  CHECK(seen == std::vector<float>{12, 13});
}

TEST_CASE("a leaf's hook runs before the nodes below it that it does not wait for") {
  Tensor early = leaf({1}), late = leaf({1});
  std::vector<std::string_view> order;
  early.on_grad_ready([&](Tensor&) { order.push_back("late in the network"); });
  late.on_grad_ready([&](Tensor&) { order.push_back("early in the network"); });
  const Tensor first = late * 2;
  sum(first * early).backward();
  CHECK(order == std::vector<std::string_view>{"late in the network", "early in the network"});
}

TEST_CASE("the hook of a leaf runs though one of its two roads carries no gradient") {
  Tensor x = leaf({2});
  int calls = 0;
  x.on_grad_ready([&](Tensor&) { ++calls; });
  const Tensor stopped =
      record("stop", x.clone(), {x}, [](const Tensor&) { return std::vector<Tensor>(1); });
  sum(square(stopped) + x).backward();
  CHECK(calls == 1);
  CHECK(grad_of(x) == std::vector<float>{1});
}

TEST_CASE("a node that no gradient reaches still counts for the leaves below it") {
  Tensor x = leaf({2});
  int calls = 0;
  x.on_grad_ready([&](Tensor&) { ++calls; });
  const Tensor inner = x * 3;
  const Tensor stopped =
      record("stop", inner.clone(), {inner}, [](const Tensor&) { return std::vector<Tensor>(1); });
  sum(stopped + x).backward();
  CHECK(calls == 1);
}

TEST_CASE("NoGrad stops recording in its scope and thread only") {
  Tensor x = leaf({1});
  {
    NoGrad outer;
    { NoGrad inner; }
    CHECK_FALSE(grad_enabled());
    CHECK_FALSE((x * 2).requires_grad());
    bool other = false;
    std::thread([&] { other = (x * 2).requires_grad(); }).join();
    CHECK(other);
  }
  CHECK((x * 2).requires_grad());
  CHECK_FALSE((x.detach() * 2).requires_grad());
}

TEST_CASE("backward without a gradient needs one element") {
  Tensor x = leaf({1, 2});
  CHECK_THROWS_AS((x * 2).backward(), ShapeError);
  CHECK_THROWS_AS((x * 2).backward(Tensor::zeros({3})), ShapeError);
  CHECK_THROWS_AS(Tensor::zeros({1}).backward(), Error);
}

TEST_CASE("a second backward through a graph is an error that names the operation") {
  Tensor x = leaf({1});
  const Tensor y = square(x);
  y.backward();
  CHECK_THROWS_WITH(y.backward(), Catch::Contains("square") && Catch::Contains("released"));
  CHECK_THROWS_WITH(sum(y * 2).backward(), Catch::Contains("square"));
}

TEST_CASE("writing to a saved tensor makes backward throw and name the operation") {
  Tensor x = leaf({1, 2});
  const Tensor y = sum(square(x));
  x.data<float>()[0] = 5;
  CHECK_THROWS_WITH(y.backward(), Catch::Contains("square") && Catch::Contains("written"));

  SECTION("also through a view of the same memory") {
    Tensor w = leaf({1, 2});
    const Tensor z = sum(square(w));
    w.detach().fill(0);
    CHECK_THROWS_AS(z.backward(), Error);
  }
  SECTION("but not where the operation did not save it") {
    Tensor w = leaf({1, 2});
    const Tensor z = sum(w * 3);
    w.data<float>()[0] = 5;
    z.backward();
    CHECK(grad_of(w) == std::vector<float>{3, 3});
  }
}

TEST_CASE("reading does not count as writing") {
  Tensor x = leaf({1, 2});
  const Tensor y = sum(square(x));
  CHECK(std::as_const(x).data<float>()[0] == 1);
  CHECK(std::as_const(x).view<float, 1>()(1) == 2);
  y.backward();
  CHECK(grad_of(x) == std::vector<float>{2, 4});
}

TEST_CASE("a chain of 250,000 operations goes forward, backward and away") {
  Tensor x = leaf({1});
  SECTION("after backward") {
    Tensor y = x;
    for (int i = 0; i < 250000; ++i) y = y + 1;
    y.backward();
    CHECK(grad_of(x) == std::vector<float>{1});
  }
  SECTION("without backward") {
    Tensor y = x;
    for (int i = 0; i < 250000; ++i) y = y * y;
  }
}

TEST_CASE("backward gives memory back as it goes") {
  Tensor x = Tensor::full({1 << 16}, 0.5).set_requires_grad();
  const size_t tensor = size_t(x.numel()) * 4;
  const size_t before = memory_use().live;
  {
    Tensor y = x;
    for (int i = 0; i < 20; ++i) y = square(y);
    const size_t after_forward = memory_use().live;
    CHECK(after_forward <= before + 21 * tensor);
    size_t most = 0;
    x.on_grad_ready([&](Tensor&) { most = memory_use().live; });
    sum(y).backward();
    // The saved inputs are gone; what is left: y, the gradient, and the last one on its way.
    CHECK(most <= before + 4 * tensor);
  }
  CHECK(memory_use().live <= before + tensor);
}

TEST_CASE("operations hold no input that their gradient does not need") {
  Tensor x = Tensor::full({1 << 16}, 0.5).set_requires_grad();
  const size_t tensor = size_t(x.numel()) * 4;
  const size_t before = memory_use().live;
  Tensor y = x;
  for (int i = 0; i < 20; ++i) y = y + 1;  // saves nothing
  CHECK(memory_use().live <= before + tensor + 4096);
  Tensor z = relu(y * 1);  // saves its result only
  CHECK(memory_use().live <= before + 2 * tensor + 8192);
}

TEST_CASE("only floating leaves may require a gradient") {
  CHECK_THROWS_AS(Tensor::zeros({2}, Dtype::i64).set_requires_grad(), DtypeError);
  Tensor x = leaf({1});
  Tensor y = x * 2;
  CHECK_THROWS_WITH(y.set_requires_grad(), Catch::Contains("mul"));
}

TEST_CASE("a vjp that returns too few gradients is an error that names it") {
  Tensor x = leaf({1});
  const Tensor y =
      record("broken", x.clone(), {x, x}, [](const Tensor& g) { return std::vector{g}; });
  CHECK_THROWS_WITH(y.backward(), Catch::Contains("broken"));
}

TEST_CASE("a vjp that holds what it was recorded for does not keep itself alive") {
  Tensor x = leaf({1});
  const size_t before = memory_use().live;
  {
    const Tensor inner = x.detach().clone();
    const Tensor y =
        record("holds", inner, {x}, [inner](const Tensor&) { return std::vector{inner}; });
    CHECK(y.requires_grad());
    CHECK_FALSE(inner.requires_grad());
  }
  CHECK(memory_use().live == before);
}
