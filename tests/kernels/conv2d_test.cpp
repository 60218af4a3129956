#include <fmt/core.h>

#include <algorithm>

#include <apprentice/kernels/conv2d.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::Outputs;
using test::Random;

namespace {

/// A random convolution; sizes include 0, 1 and odd ones, groups up to depthwise.
struct Problem {
  Conv2dGeometry geometry;
  std::array<int64_t, 4> x, w, y;

  explicit Problem(Random& random) {
    for (size_t a : {size_t(0), size_t(1)}) {
      geometry.stride[a] = random.between(1, 3);
      geometry.padding[a] = random.between(0, 2);
      geometry.dilation[a] = random.pick({1, 1, 2, 3});
    }
    geometry.groups = random.pick({1, 1, 1, 2, 3});
    const int64_t in = geometry.groups * random.pick({1, 2, 3, 8, 16, 17});
    const int64_t out = geometry.groups * random.pick({1, 2, 5, 16, 32, 33});
    x = {random.between(0, 3), random.between(5, 12), random.between(5, 12), in};
    w = {out, random.between(1, 3), random.between(1, 3), in / geometry.groups};
    y = {x[0], geometry.out_size(0, x[1], w[1]), geometry.out_size(1, x[2], w[2]), out};
  }
  /// For failures: sizes and geometry.
  std::string text() const {
    const auto list = [](const auto& values) {
      std::string line;
      for (int64_t v : values) line += fmt::format(" {}", v);
      return line;
    };
    return fmt::format("x{}, w{}, stride{}, padding{}, dilation{}, groups {}", list(x), list(w),
                       list(geometry.stride), list(geometry.padding), list(geometry.dilation),
                       geometry.groups);
  }
  double taps() const { return double(w[1] * w[2] * w[3]); }
  double pixels() const { return double(y[0] * y[1] * y[2]); }
};

}  // namespace

TEST_CASE("every conv2d kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(0u, 60u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  CAPTURE(p.text());
  const bool bias = random.flip(), residual = random.flip(), relu = random.flip();
  CAPTURE(bias, residual, relu);
  const auto x = random.uniform(p.x), w = random.uniform(p.w);
  const auto b = random.uniform<1>({p.w[0]});
  const auto r = random.uniform(p.y);
  const double bound = Conv2d<float>::error_bound(int64_t(p.taps()), p.taps() + 2);
  test::agree<Conv2d<float>>([&](Outputs& out) {
    return Conv2d<float>::Args{x,
                               w,
                               bias ? b : View1<const float>{},
                               residual ? r : View4<const float>{},
                               out.view(p.y, bound),
                               p.geometry,
                               relu};
  });
}

TEST_CASE("a conv2d residual may be the output itself") {
  const auto seed = GENERATE(range(100u, 106u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  CAPTURE(p.text());
  const auto x = random.uniform(p.x), w = random.uniform(p.w), r = random.uniform(p.y);
  const double bound = Conv2d<float>::error_bound(int64_t(p.taps()), p.taps() + 2);
  test::agree<Conv2d<float>>([&](Outputs& out) {
    const auto y = out.updated(r, bound);
    return Conv2d<float>::Args{x, w, {}, y, y, p.geometry, true};
  });
}

TEST_CASE("conv2d that must be exact is so on integers below 2^24, so no Winograd takes it") {
  const int64_t channels = GENERATE(16, 32, 64, 100);
  CAPTURE(channels);
  Random random{uint64_t(channels)};
  const auto x = random.integers<4>({2, 9, 8, channels}, 0, 255);
  const auto w = random.integers<4>({channels, 3, 3, channels}, -7, 7);
  Conv2dGeometry geometry;
  geometry.padding = {1, 1};
  test::agree<Conv2d<float>>([&](Outputs& out) {
    return Conv2d<float>::Args{x, w, {}, {}, out.view<4>({2, 9, 8, channels}, 0), geometry, false};
  });
}

TEST_CASE("every conv2d_backward_data kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(200u, 240u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  CAPTURE(p.text());
  const auto grad_y = random.uniform(p.y), w = random.uniform(p.w);
  const double taps = double(p.w[0] / p.geometry.groups * p.w[1] * p.w[2]);
  const double bound = Conv2d<float>::error_bound(int64_t(taps), taps);
  test::agree<Conv2dBackwardData<float>>([&](Outputs& out) {
    return Conv2dBackwardData<float>::Args{grad_y, w, out.view(p.x, bound), p.geometry};
  });
}

TEST_CASE("every conv2d_backward_weight kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(300u, 340u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  CAPTURE(p.text());
  const bool bias = random.flip();
  const auto x = random.uniform(p.x), grad_y = random.uniform(p.y);
  const double bound = Conv2d<float>::error_bound(int64_t(p.pixels()), p.pixels());
  test::agree<Conv2dBackwardWeight<float>>([&](Outputs& out) {
    const auto grad_w = out.view(p.w, bound);
    const auto grad_bias = bias ? out.view<1>({p.w[0]}, bound) : View1<float>{};
    return Conv2dBackwardWeight<float>::Args{x, grad_y, grad_w, grad_bias, p.geometry};
  });
}

TEST_CASE("a forward by the data gradient of rotated weights agrees with the reference") {
  const auto seed = GENERATE(range(400u, 412u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t kh = random.between(1, 5), kw = random.between(1, 3);
  Conv2dGeometry geometry;
  geometry.padding = {random.below(kh), random.below(kw)};
  const auto x = random.integers<4>({2, random.between(5, 9), random.between(5, 20), 16}, -9, 9);
  const auto w = random.integers<4>({16, kh, kw, 16}, -9, 9);
  const std::array<int64_t, 4> y{2, geometry.out_size(0, x.size(1), kh),
                                 geometry.out_size(1, x.size(2), kw), 16};
  Outputs outputs;
  const auto args = [&](Outputs& out) {
    return Conv2d<float>::Args{x, w, {}, {}, out.view(y, 0), geometry, false};
  };
  test::agree<Conv2d<float>>(args);
  const auto names = test::takers<Conv2d<float>>(args(outputs));
  CHECK(std::count(names.begin(), names.end(), "conv2d_f32_cpu_onednn_rotated") == 1);
}

TEST_CASE("conv2d's gradients are the transposes of its forward") {
  Random random(7);
  const auto x = random.integers<4>({2, 5, 6, 4}, -3, 3);
  const auto w = random.integers<4>({6, 3, 2, 2}, -3, 3);
  Conv2dGeometry geometry{{2, 1}, {1, 0}, {1, 2}, 2};
  const std::array<int64_t, 4> y_sizes{2, geometry.out_size(0, 5, 3), geometry.out_size(1, 6, 2),
                                       6};
  const auto grad_y = random.integers<4>(y_sizes, -3, 3);
  Outputs out;
  const auto y = out.view(y_sizes, 0), grad_x = out.view(x.sizes, 0), grad_w = out.view(w.sizes, 0);
  const Preference reference{"reference", true};
  const Conv2d<float>::Args forward{x, w, {}, {}, y, geometry, false};
  const Conv2dBackwardData<float>::Args data{grad_y, w, grad_x, geometry};
  const Conv2dBackwardWeight<float>::Args weight{x, grad_y, grad_w, {}, geometry};
  kernel_table<Conv2d<float>>().select(forward, reference).run(forward, {});
  kernel_table<Conv2dBackwardData<float>>().select(data, reference).run(data, {});
  kernel_table<Conv2dBackwardWeight<float>>().select(weight, reference).run(weight, {});
  const auto dot = [](View4<const float> a, View4<const float> b) {
    double sum = 0;
    for (int64_t i = 0; i < a.numel(); ++i) sum += double(a.data[i]) * double(b.data[i]);
    return sum;
  };
  // <y(x, w), g> is linear in x and in w: both inner products must give the same integer.
  CHECK(dot(y, grad_y) == dot(x, grad_x));
  CHECK(dot(y, grad_y) == dot(w, grad_w));
}

TEST_CASE("oneDNN takes every convolution with something to compute") {
  Random random(1);
  Outputs out;
  const Conv2d<float>::Args args{random.uniform<4>({1, 4, 4, 3}),
                                 random.uniform<4>({2, 3, 3, 3}),
                                 {},
                                 {},
                                 out.view<4>({1, 2, 2, 2}, 0),
                                 {},
                                 false};
  const auto names = test::takers<Conv2d<float>>(args);
  REQUIRE(!names.empty());
  CHECK(names.front() == "conv2d_f32_cpu_onednn");
  CHECK(names.back() == "conv2d_f32_cpu_reference");
}
