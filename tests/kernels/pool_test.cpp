#include <apprentice/kernels/pool.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::kEpsilon;
using test::Outputs;
using test::Random;

namespace {

/// A random pooling; sizes include 0, 1 and odd ones.
struct Problem {
  Pool2dGeometry geometry;
  std::array<int64_t, 4> x, y;

  explicit Problem(Random& random) {
    x = {random.between(0, 3), random.between(3, 11), random.between(3, 11),
         random.pick({1, 3, 16, 17, 64})};
    y = x;
    geometry.adaptive = random.below(4) == 0;
    geometry.count_include_pad = random.flip();
    for (int axis : {0, 1}) {
      const auto a = size_t(axis);
      geometry.kernel_size[a] = random.between(1, 3);
      geometry.stride[a] = random.between(1, 3);
      geometry.padding[a] = random.below(geometry.kernel_size[a]);
      y[a + 1] =
          geometry.adaptive ? random.between(1, x[a + 1]) : geometry.out_size(axis, x[a + 1]);
    }
  }
  /// Elements a window holds, at most; an adaptive one over a whole axis has 11.
  static constexpr double kWindow = 121;
};

}  // namespace

TEST_CASE("every max_pool2d kernel gives the reference's values and positions, NaN and ties too") {
  const auto seed = GENERATE(range(0u, 40u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  const auto x = random.fill(p.x, [&] {
    const int64_t v = random.between(-4, 5);
    return v == 5 ? NAN : float(v);
  });
  load_dense_units();
  const auto run = [&](const std::string& family, Outputs& out, std::vector<int32_t>& argmax) {
    const auto y = out.view(p.y, 0);
    argmax.assign(size_t(y.numel()) + 1, -1);
    const MaxPool2d<float>::Args args{x, y, {argmax.data(), p.y}, p.geometry};
    kernel_table<MaxPool2d<float>>().select(args, {family, true}).run(args, {});
  };
  Outputs expected, got;
  std::vector<int32_t> expected_at, at;
  run("reference", expected, expected_at);
  run("simd", got, at);
  CHECK(at == expected_at);
  CHECK(test::first_difference(got.arrays()[0], expected.arrays()[0]) == -1);
}

TEST_CASE("every max_pool2d_backward kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(100u, 120u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  const auto x = random.uniform(p.x), grad_y = random.integers(p.y, -9, 9);
  Outputs forward;
  const auto y = forward.view(p.y, 0);
  std::vector<int32_t> argmax(size_t(y.numel()) + 1);
  launch<MaxPool2d<float>>({x, y, {argmax.data(), p.y}, p.geometry});
  // Integers: the order of the additions cannot show.
  test::agree<MaxPool2dBackward<float>>([&](Outputs& out) {
    return MaxPool2dBackward<float>::Args{
        grad_y, {argmax.data(), p.y}, out.view(p.x, 0), p.geometry};
  });
}

TEST_CASE("every avg_pool2d kernel agrees with the reference, forward and backward") {
  const auto seed = GENERATE(range(200u, 240u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  const auto x = random.uniform(p.x), grad_y = random.uniform(p.y);
  // A mean of values up to 1 summed one by one; an input lies in at most kWindow windows.
  const double bound = Problem::kWindow * kEpsilon;
  test::agree<AvgPool2d<float>>([&](Outputs& out) {
    return AvgPool2d<float>::Args{x, out.view(p.y, bound), p.geometry};
  });
  test::agree<AvgPool2dBackward<float>>([&](Outputs& out) {
    return AvgPool2dBackward<float>::Args{grad_y, out.view(p.x, bound), p.geometry};
  });
}

TEST_CASE("every global_avg_pool kernel agrees with the reference, forward and backward") {
  const auto seed = GENERATE(range(300u, 312u));
  CAPTURE(seed);
  Random random(seed);
  const std::array<int64_t, 4> sizes{random.between(0, 40), random.between(1, 9),
                                     random.between(1, 9), random.pick({1, 3, 64, 100})};
  const auto x = random.uniform(sizes);
  const auto grad_y = random.uniform<2>({sizes[0], sizes[3]});
  const double bound = double(sizes[1] * sizes[2] + 2) * kEpsilon;
  test::agree<GlobalAvgPool<float>>([&](Outputs& out) {
    return GlobalAvgPool<float>::Args{x, out.view<2>({sizes[0], sizes[3]}, bound)};
  });
  test::agree<GlobalAvgPoolBackward<float>>([&](Outputs& out) {
    return GlobalAvgPoolBackward<float>::Args{grad_y, out.view(sizes, kEpsilon)};
  });
}

TEST_CASE("every shortcut_a kernel gives the reference's values, forward and backward") {
  const auto seed = GENERATE(range(400u, 420u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t stride = random.between(1, 3), more = random.between(0, 17);
  const std::array<int64_t, 4> in{random.between(0, 3), random.between(1, 9), random.between(1, 9),
                                  random.pick({1, 4, 16, 17})};
  const std::array<int64_t, 4> out_sizes{in[0], (in[1] + stride - 1) / stride,
                                         (in[2] + stride - 1) / stride, in[3] + more};
  const auto x = random.uniform(in), grad_y = random.uniform(out_sizes);
  test::agree<ShortcutA<float>>([&](Outputs& out) {
    return ShortcutA<float>::Args{x, out.view(out_sizes, 0), stride};
  });
  test::agree<ShortcutABackward<float>>([&](Outputs& out) {
    return ShortcutABackward<float>::Args{grad_y, out.view(in, 0), stride};
  });
}

TEST_CASE("shortcut_a of a known image keeps every second pixel and puts half the zeros in front") {
  const auto family = GENERATE("reference", "simd");
  CAPTURE(family);
  const float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  float y[12];
  const ShortcutA<float>::Args args{{x, {1, 3, 3, 1}}, {y, {1, 2, 2, 3}}, 2};
  kernel_table<ShortcutA<float>>().select(args, {family, true}).run(args, {});
  CHECK(std::vector<float>(y, y + 12) == std::vector<float>{0, 1, 0, 0, 3, 0, 0, 7, 0, 0, 9, 0});
}
