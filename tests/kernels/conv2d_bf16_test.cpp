// Convolutions whose images or outputs lie in bf16: the f32 reference on the same numbers, rounded.
#include <catch2/catch.hpp>
#include <vector>

#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/kernel_table.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::Random;

namespace {

using Sizes = std::array<int64_t, 4>;

/// Numbers of [-1, 1) that bf16 holds, as T.
template <class T>
struct Numbers {
  Numbers(Random& random, const Sizes& sizes) : view{nullptr, sizes} {
    const auto from = random.uniform(sizes);
    for (int64_t i = 0; i < from.numel(); ++i) {
      values.push_back(T(float(Bf16(from.data[i]))));
      wide.push_back(values.back());
    }
    view.data = values.data();
  }
  View4<const float> as_f32() const { return {wide.data(), view.sizes}; }

  std::vector<T> values;
  std::vector<float> wide;
  View4<const T> view;
};

template <class T>
struct Result {
  explicit Result(const Sizes& sizes) : view{nullptr, sizes} {
    values.resize(size_t(view.numel()));
    view.data = values.data();
  }
  std::vector<float> as_f32() const { return {values.begin(), values.end()}; }

  std::vector<T> values;
  View4<T> view;
};

template <class T>
std::vector<float> rounded(const Result<float>& result) {
  std::vector<float> values;
  for (const float v : result.values) values.push_back(float(T(v)));
  return values;
}

template <class Op>
void run_reference(const typename Op::Args& args) {
  kernel_table<Op>().select(args, {"reference", true}).run(args, {});
}

template <class X, class Y>
void check_pair(uint64_t seed) {
  Random random(seed);
  Conv2dGeometry geometry;
  geometry.stride = {random.between(1, 2), random.between(1, 2)};
  geometry.padding = {random.between(0, 2), random.between(0, 2)};
  geometry.groups = random.pick({1, 1, 3});
  const Sizes x{2, random.between(3, 7), random.between(3, 7), geometry.groups * 5};
  const Sizes w{geometry.groups * random.pick({1, 4}), 3, random.between(1, 3), 5};
  const Sizes y{2, geometry.out_size(0, x[1], w[1]), geometry.out_size(1, x[2], w[2]), w[0]};
  const Numbers<X> image(random, x);
  const Numbers<Y> residual(random, y), grad(random, y);
  const auto weight = random.uniform(w);
  const auto bias = random.uniform<1>({w[0]});

  Result<Y> got_y(y);
  Result<float> wide_y(y);
  run_reference<Conv2d<float, X, Y>>(
      {image.view, weight, bias, residual.view, got_y.view, geometry, true});
  run_reference<Conv2d<float>>(
      {image.as_f32(), weight, bias, residual.as_f32(), wide_y.view, geometry, true});
  CHECK(got_y.as_f32() == rounded<Y>(wide_y));

  Result<X> got_x(x);
  Result<float> wide_x(x);
  run_reference<Conv2dBackwardData<float, X, Y>>({grad.view, weight, got_x.view, geometry});
  run_reference<Conv2dBackwardData<float>>({grad.as_f32(), weight, wide_x.view, geometry});
  CHECK(got_x.as_f32() == rounded<X>(wide_x));

  Result<float> got_w(w), wide_w(w);
  auto got_bias = std::vector<float>(size_t(w[0])), wide_bias = got_bias;
  const auto view = [](std::vector<float>& v) {
    return View1<float>{v.data(), {int64_t(v.size())}};
  };
  run_reference<Conv2dBackwardWeight<float, X, Y>>(
      {image.view, grad.view, got_w.view, view(got_bias), geometry});
  run_reference<Conv2dBackwardWeight<float>>(
      {image.as_f32(), grad.as_f32(), wide_w.view, view(wide_bias), geometry});
  CHECK(got_w.values == wide_w.values);
  CHECK(got_bias == wide_bias);
}

}  // namespace

TEST_CASE("convolutions of bf16 are those of the same f32, what lies in bf16 rounded once") {
  const auto seed = GENERATE(range(0u, 12u));
  CAPTURE(seed);
  check_pair<Bf16, Bf16>(seed);
  check_pair<float, Bf16>(seed);
  check_pair<Bf16, float>(seed);
}
