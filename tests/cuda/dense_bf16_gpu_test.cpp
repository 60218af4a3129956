// Convolutions by cuDNN whose images and outputs lie in bf16, on a GPU, against the reference of
// the CPU: on integers, whose sums are exact, so that what is stored in bf16 is one rounding away,
// or two where bias and residual are added to stored sums, and all else is equal.
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/plans/plan_cache.h>
#include <kernels/agreement.h>

namespace apprentice {
void load_gpu_units();
}

using namespace apprentice;
using namespace apprentice::kernels;
using kernels::test::Random;

namespace {

constexpr Device kGpu{Device::Kind::cuda, 0};
using Sizes = std::array<int64_t, 4>;

/// A tensor on the host and its copy on the GPU.
template <class T, int R = 4>
class Both {
 public:
  explicit Both(const std::array<int64_t, size_t(R)>& sizes) : sizes_(sizes) {
    host_.resize(size_t(View<T, R>{nullptr, sizes}.numel()));
    gpu_ = std::make_unique<Buffer>(bytes(), kGpu);
  }
  Both(Random& random, const std::array<int64_t, size_t(R)>& sizes, int64_t most) : Both(sizes) {
    for (T& v : host_) v = T(float(random.between(-most, most)));
    upload();
  }
  void set(size_t i, T v) {
    host_[i] = v;
    upload();
  }
  View<T, R> here() { return {host_.data(), sizes_}; }
  View<T, R> there() const { return {static_cast<T*>(gpu_->data()), sizes_}; }
  /// Is what the GPU has that of the host, or, where it is rounded, one rounding from it? `stored`:
  /// the largest number on the way that may have been rounded, too.
  void check(const std::vector<float>& exact, double stored = 0) const {
    const std::vector<T> got = this->got();
    int64_t wrong = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double way = std::abs(double(exact[i])) + stored * (1 + 0x1p-8);
      const double allowed = std::is_same_v<T, Bf16> ? 0x1p-8 * way : 0;
      wrong += !(std::abs(double(float(got[i])) - double(exact[i])) <= allowed);
    }
    CHECK(wrong == 0);
  }
  std::vector<T> got() const {
    std::vector<T> values(host_.size());
    copy_bytes(values.data(), Device{}, gpu_->data(), kGpu, bytes(), current_stream(kGpu));
    return values;
  }

 private:
  void upload() {
    copy_bytes(gpu_->data(), kGpu, host_.data(), Device{}, bytes(), current_stream(kGpu));
  }
  size_t bytes() const { return host_.size() * sizeof(T); }

  std::array<int64_t, size_t(R)> sizes_;
  std::vector<T> host_;
  std::unique_ptr<Buffer> gpu_;
};

/// What the CPU's f32 reference gives, of arguments on the host.
template <class Op>
void run_here(const typename Op::Args& args) {
  kernel_table<Op>().select(args, {"reference", true}).run(args, {});
}
template <class Op>
void run_there(const typename Op::Args& args) {
  load_gpu_units();
  kernel_table<Op>().select(args, Preference{}, kGpu.kind).run(args, current_stream(kGpu));
}

template <class T>
View4<const float> widened(View4<T> view, std::vector<float>& into) {
  into.assign(view.data, view.data + view.numel());
  return {into.data(), view.sizes};
}

template <class X, class Y>
void check_problem(Random& random, const Sizes& x, const Sizes& w, const Conv2dGeometry& geometry) {
  const Sizes y{x[0], geometry.out_size(0, x[1], w[1]), geometry.out_size(1, x[2], w[2]), w[0]};
  CAPTURE(x[1], x[3], w[0], geometry.groups);
  Both<X> image(random, x, 9);
  Both<float> weight(random, w, 7);
  Both<float, 1> bias(random, {w[0]}, 99);
  Both<Y> residual(random, y, 99), grad(random, y, 9), got_y(y);
  Both<X> got_x(x);
  Both<float> got_w(w);
  Both<float, 1> got_bias({w[0]});
  std::vector<float> wide_x, wide_residual, wide_grad;
  const auto x32 = widened(image.here(), wide_x), r32 = widened(residual.here(), wide_residual);
  const auto g32 = widened(grad.here(), wide_grad);
  const auto exact = [](const Sizes& sizes) {
    return std::vector<float>(size_t(View4<float>{nullptr, sizes}.numel()));
  };
  double largest_sum = 0;
  for (const bool whole : {false, true}) {
    CAPTURE(whole);
    std::vector<float> expected = exact(y);
    typename Conv2d<float, X, Y>::Args args{image.there(), weight.there(), {}, {},
                                            got_y.there(), geometry};
    Conv2d<float>::Args plain{x32, weight.here(), {}, {}, {expected.data(), y}, geometry};
    args.precision = Precision::bf16;
    if (whole) {
      args.bias = bias.there(), args.residual = residual.there(), args.relu = true;
      plain.bias = bias.here(), plain.residual = r32, plain.relu = true;
    }
    run_there<Conv2d<float, X, Y>>(args);
    run_here<Conv2d<float>>(plain);
    got_y.check(expected, largest_sum);
    for (const float v : expected) largest_sum = std::fmax(largest_sum, std::abs(double(v)));
  }
  std::vector<float> expected_x = exact(x), expected_w = exact(w),
                     expected_bias(bias.here().data, bias.here().data + w[0]);
  run_there<Conv2dBackwardData<float, X, Y>>(
      {grad.there(), weight.there(), got_x.there(), geometry, Precision::bf16});
  run_here<Conv2dBackwardData<float>>({g32, weight.here(), {expected_x.data(), x}, geometry});
  got_x.check(expected_x);
  run_there<Conv2dBackwardWeight<float, X, Y>>(
      {image.there(), grad.there(), got_w.there(), got_bias.there(), geometry, Precision::bf16});
  run_here<Conv2dBackwardWeight<float>>(
      {x32, g32, {expected_w.data(), w}, {expected_bias.data(), {w[0]}}, geometry});
  got_w.check(expected_w);
  got_bias.check(expected_bias);
}

/// The outputs of a 1x1 convolution with ReLU that are NaN: those of one pixel, which has a NaN.
template <class X, class Y>
void check_nan(Random& random) {
  const Sizes x{4, 16, 16, 16}, w{16, 1, 1, 16};
  const size_t pixel = 300;
  Both<X> image(random, x, 9);
  image.set(pixel * 16 + 5, X(NAN));
  Both<float> weight(random, w, 7);
  Both<float, 1> bias(random, {16}, 99);
  Both<Y> residual(random, x, 99), y(x);
  typename Conv2d<float, X, Y>::Args args{image.there(),    weight.there(), bias.there(),
                                          residual.there(), y.there(),      {}};
  args.relu = true;
  args.precision = Precision::bf16;
  run_there<Conv2d<float, X, Y>>(args);
  const std::vector<Y> got = y.got();
  int64_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const bool is_nan = std::isnan(float(got[i]));
    wrong += is_nan != (i / 16 == pixel) || (!is_nan && !(float(got[i]) >= 0));
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("convolutions of bf16 on the GPU are exact but for the rounding of what they store",
          "[kernel][vendor]") {
  const auto choice = GENERATE(dense::PlanChoice::heuristic, dense::PlanChoice::timed);
  const auto before = std::exchange(dense::plan_choice(), choice);
  Random random(11);
  struct Case {
    Sizes x, w;
    Conv2dGeometry geometry;
  };
  // As in ResNet-20, with a stride, its stem, odd sizes, and depthwise, which bf16 engines lack.
  const Case cases[] = {{{8, 16, 16, 16}, {16, 3, 3, 16}, {{1, 1}, {1, 1}}},
                        {{4, 16, 16, 16}, {32, 3, 3, 16}, {{2, 2}, {1, 1}}},
                        {{4, 32, 32, 3}, {16, 3, 3, 3}, {{1, 1}, {1, 1}}},
                        {{3, 9, 7, 5}, {7, 3, 3, 5}, {{2, 1}, {0, 2}}},
                        {{2, 8, 8, 8}, {8, 3, 3, 1}, {{1, 1}, {1, 1}, {1, 1}, 8}}};
  for (const Case& c : cases) {
    check_problem<Bf16, Bf16>(random, c.x, c.w, c.geometry);
    check_problem<float, Bf16>(random, c.x, c.w, c.geometry);
    check_problem<Bf16, float>(random, c.x, c.w, c.geometry);
  }
  dense::plan_choice() = before;
}

TEST_CASE("a ReLU after a convolution on the GPU leaves a NaN one", "[kernel][vendor]") {
  const auto choice = GENERATE(dense::PlanChoice::heuristic, dense::PlanChoice::timed);
  const auto before = std::exchange(dense::plan_choice(), choice);
  Random random(12);
  check_nan<float, float>(random);
  check_nan<Bf16, Bf16>(random);
  check_nan<float, Bf16>(random);
  check_nan<Bf16, float>(random);
  dense::plan_choice() = before;
}
