#include <fmt/core.h>

#include <algorithm>

#include <apprentice/base/cpu.h>
#include <apprentice/kernels/conv2d.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::Outputs;
using test::Random;

namespace {

/// A convolution that Winograd's kernels take: 3x3, stride 1, whole blocks of channels; images of a
/// single pixel, of whole tiles and of parts of tiles.
struct Problem {
  Conv2dGeometry geometry;
  std::array<int64_t, 4> x, w, y;

  explicit Problem(Random& random) {
    geometry.padding = {random.between(0, 1), random.between(0, 1)};
    const int64_t in = random.pick({32, 48, 64}), out = random.pick({32, 48, 64});
    x = {random.between(1, 3), random.between(3, 13), random.between(3, 13), in};
    w = {out, 3, 3, in};
    y = {x[0], geometry.out_size(0, x[1], 3), geometry.out_size(1, x[2], 3), out};
  }
  std::string text() const {
    return fmt::format("{} images of {}x{}, {} to {} channels, padding {} and {}", x[0], x[1], x[2],
                       x[3], w[0], geometry.padding[0], geometry.padding[1]);
  }
};

template <class Op>
bool winograd_takes(const typename Op::Args& args) {
  const auto names = test::takers<Op>(args);
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.find("winograd") != std::string::npos;
  });
}

}  // namespace

TEST_CASE("conv2d that need not be exact agrees with the reference within Winograd's bound") {
  const auto seed = GENERATE(range(0u, 24u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  CAPTURE(p.text());
  const bool bias = random.flip(), residual = random.flip(), relu = random.flip();
  CAPTURE(bias, residual, relu);
  const auto x = random.uniform(p.x), w = random.uniform(p.w), r = random.uniform(p.y);
  const auto b = random.uniform<1>({p.w[0]});
  const double bound = winograd_error_bound<float>(p.w[3], 1, 1);
  test::agree<Conv2d<float>>([&](Outputs& out) {
    return Conv2d<float>::Args{.x = x,
                               .w = w,
                               .bias = bias ? b : View1<const float>{},
                               .residual = residual ? r : View4<const float>{},
                               .y = out.view(p.y, bound),
                               .geometry = p.geometry,
                               .relu = relu,
                               .exact = false};
  });
}

TEST_CASE("gradients of wide 3x3 convolutions agree with the reference within Winograd's bound") {
  const auto seed = GENERATE(range(50u, 66u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  CAPTURE(p.text());
  const auto grad_y = random.uniform(p.y), w = random.uniform(p.w);
  const double bound = winograd_error_bound<float>(p.w[0], 1, 1);
  test::agree<Conv2dBackwardData<float>>([&](Outputs& out) {
    return Conv2dBackwardData<float>::Args{grad_y, w, out.view(p.x, bound), p.geometry};
  });
}

TEST_CASE("a Winograd convolution gives the same bits at every call and for every batch") {
  Random random(3);
  const auto x = random.uniform<4>({3, 8, 8, 64}), w = random.uniform<4>({64, 3, 3, 64});
  Conv2dGeometry geometry;
  geometry.padding = {1, 1};
  const auto run = [&](int64_t images) {
    Outputs out;
    auto part = x;
    part.sizes[0] = images;
    const Conv2d<float>::Args args{.x = part,
                                   .w = w,
                                   .bias = {},
                                   .residual = {},
                                   .y = out.view<4>({images, 8, 8, 64}, 0),
                                   .geometry = geometry,
                                   .exact = false};
    kernel_table<Conv2d<float>>().select(args, {}).run(args, {});
    std::vector<float> values = out.arrays()[0].values;
    values.resize(size_t(8 * 8 * 64));
    return values;
  };
  load_dense_units();
  const std::vector<float> first = run(3);
  CHECK(run(3) == first);
  CHECK(run(1) == first);
}

TEST_CASE("Winograd takes wide 3x3 windows, and nothing that must be exact") {
  Random random(5);
  const Problem p(random);
  const auto x = random.uniform(p.x), w = random.uniform(p.w);
  Outputs out;
  Conv2d<float>::Args args{
      .x = x, .w = w, .bias = {}, .residual = {}, .y = out.view(p.y, 0), .geometry = p.geometry};
  CHECK(!winograd_takes<Conv2d<float>>(args));
  args.exact = false;
  CHECK(winograd_takes<Conv2d<float>>(args) == cpu_features().avx512);
  args.geometry.dilation = {2, 2};
  CHECK(!winograd_takes<Conv2d<float>>(args));
}
