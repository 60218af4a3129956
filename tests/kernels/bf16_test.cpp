#include <apprentice/base/rng.h>
#include <apprentice/kernels/batch_norm.h>
#include <apprentice/kernels/convert.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/map.h>
#include <apprentice/kernels/pool.h>
#include <catch2/catch.hpp>

#include <cuda/bf16.h>

// Kernels of bf16 tensors on the CPU: what the reference of f32 gives of the same numbers, rounded.
using namespace apprentice;
using namespace apprentice::kernels;
using apprentice::testing::same_bits;
using apprentice::testing::stored;
using apprentice::testing::widened;

namespace {

std::vector<float> numbers(size_t n, uint64_t seed) {
  Rng rng(seed, RngPurpose::test);
  std::vector<float> values(n);
  for (float& v : values) v = 1 + 2 * rng.normal();
  return values;
}

/// The numbers that T holds of these.
template <class T>
std::vector<float> held(const std::vector<float>& values) {
  return widened(stored<T>(values));
}

template <class Op>
void run_reference(const typename Op::Args& args) {
  kernel_table<Op>().select(args, {"reference", true}).run(args, {});
}

constexpr std::array<int64_t, 2> kMatrix{9, 5};
constexpr std::array<int64_t, 1> kChannels{5};
constexpr size_t kCount = 45;

/// A layer's tensors, x of X and y of Y.
template <class X, class Y>
struct Layer {
  std::vector<X> x, grad_x{stored<X>(numbers(kCount, 9))};
  std::vector<Y> residual, grad_y, y{stored<Y>(numbers(kCount, 9))}, grad_residual{y};
  std::vector<float> gamma{numbers(5, 4)}, beta{numbers(5, 5)}, eps{1e-3f};
  std::vector<float> mean{gamma}, var{gamma}, inv_std{gamma}, grad_gamma{gamma}, grad_beta{gamma};
  std::vector<uint8_t> bytes = std::vector<uint8_t>(kCount);

  Layer(const std::vector<float>& x, const std::vector<float>& residual,
        const std::vector<float>& grad_y)
      : x(stored<X>(x)), residual(stored<Y>(residual)), grad_y(stored<Y>(grad_y)) {}

  void train(float max_code) {
    typename BatchNormTrain<float, X, Y>::Args a;
    a.x = {x.data(), kMatrix}, a.y = {y.data(), kMatrix}, a.residual = {residual.data(), kMatrix};
    a.gamma = {gamma.data(), kChannels}, a.beta = {beta.data(), kChannels},
    a.eps = {eps.data(), {1}};
    a.mean = {mean.data(), kChannels}, a.var = {var.data(), kChannels};
    a.inv_std = {inv_std.data(), kChannels};
    a.relu = true, a.step = 0.25f, a.max_code = max_code;
    if (max_code > 0) a.bytes = {bytes.data(), kMatrix};
    run_reference<BatchNormTrain<float, X, Y>>(a);
    typename BatchNormEval<float, X, Y>::Args e;
    e.x = a.x, e.y = a.y, e.gamma = a.gamma, e.beta = a.beta, e.eps = a.eps;
    e.mean = a.mean, e.var = a.var, e.step = a.step, e.max_code = max_code;
    if (max_code == 0) run_reference<BatchNormEval<float, X, Y>>(e);
  }
  void backward(float max_code) {
    typename BatchNormBackward<float, X, Y>::Args a;
    a.x = {x.data(), kMatrix}, a.grad_y = {grad_y.data(), kMatrix};
    a.residual = {residual.data(), kMatrix};
    a.gamma = {gamma.data(), kChannels}, a.beta = {beta.data(), kChannels};
    a.mean = {mean.data(), kChannels}, a.inv_std = {inv_std.data(), kChannels};
    a.step = 0.25f, a.max_code = max_code;
    a.grad_x = {grad_x.data(), kMatrix}, a.grad_residual = {grad_residual.data(), kMatrix};
    a.grad_gamma = {grad_gamma.data(), kChannels}, a.grad_beta = {grad_beta.data(), kChannels};
    run_reference<BatchNormBackward<float, X, Y>>(a);
  }
};

template <class X, class Y>
void check_layer(float max_code) {
  const auto x = held<X>(numbers(kCount, 1)), residual = held<Y>(numbers(kCount, 2));
  const auto grad_y = held<Y>(numbers(kCount, 3));
  Layer<X, Y> layer(x, residual, grad_y);
  Layer<float, float> wide(x, residual, grad_y);
  layer.train(max_code), wide.train(max_code);
  layer.backward(max_code), wide.backward(max_code);
  CAPTURE(sizeof(X), sizeof(Y), max_code);
  CHECK(same_bits(layer.y, stored<Y>(wide.y)));
  CHECK(layer.bytes == wide.bytes);
  CHECK(layer.mean == wide.mean);
  CHECK(layer.inv_std == wide.inv_std);
  CHECK(same_bits(layer.grad_x, stored<X>(wide.grad_x)));
  CHECK(same_bits(layer.grad_residual, stored<Y>(wide.grad_residual)));
  CHECK(layer.grad_gamma == wide.grad_gamma);
  CHECK(layer.grad_beta == wide.grad_beta);
}

constexpr std::array<int64_t, 4> kImages{2, 5, 6, 3}, kPooled{2, 2, 3, 3}, kShort{2, 3, 3, 7};
constexpr size_t kPixels = 180, kWindows = 36;

/// What Op makes of images in bf16 and in f32, the arguments being set by set(args, from, to): the
/// same, rounded.
template <template <class> class Op, class Set>
void check_images(const std::array<int64_t, 4>& from, const std::array<int64_t, 4>& to, Set set) {
  const auto count = [](const auto& s) { return size_t(s[0] * s[1] * s[2] * s[3]); };
  const auto x = held<Bf16>(numbers(count(from), 6));
  const auto narrow_x = stored<Bf16>(x);
  std::vector<float> y(count(to));
  std::vector<Bf16> narrow_y(count(to));
  typename Op<float>::Args a;
  typename Op<Bf16>::Args b;
  set(a, View4<const float>{x.data(), from}, View4<float>{y.data(), to});
  set(b, View4<const Bf16>{narrow_x.data(), from}, View4<Bf16>{narrow_y.data(), to});
  run_reference<Op<float>>(a);
  run_reference<Op<Bf16>>(b);
  CAPTURE(Op<Bf16>::name);
  CHECK(same_bits(narrow_y, stored<Bf16>(y)));
}

}  // namespace

TEST_CASE("batch norm of bf16 tensors gives the numbers of f32, rounded once") {
  for (const float max_code : {0.0f, 15.0f}) {
    check_layer<Bf16, Bf16>(max_code);
    check_layer<float, Bf16>(max_code);
    check_layer<Bf16, float>(max_code);
  }
}

TEST_CASE("poolings and shortcuts of bf16 images give the numbers of f32, rounded once") {
  // Neighbouring windows are won by one pixel.
  std::vector<int32_t> places(kWindows);
  for (size_t i = 0; i < kWindows; ++i) places[i] = int32_t(i / 9 % 2 ? 8 : 14);
  const auto forward = [](auto& a, auto x, auto y) { a.x = x, a.y = y; };
  const auto backward = [](auto& a, auto grad_y, auto grad_x) {
    a.grad_y = grad_y, a.grad_x = grad_x;
  };
  check_images<MaxPool2d>(kImages, kPooled, forward);
  check_images<MaxPool2dBackward>(kPooled, kImages, [&](auto& a, auto grad_y, auto grad_x) {
    backward(a, grad_y, grad_x);
    a.argmax = {places.data(), kPooled};
  });
  check_images<AvgPool2d>(kImages, kPooled, forward);
  check_images<AvgPool2dBackward>(kPooled, kImages, backward);
  check_images<ShortcutA>(kImages, kShort, forward);
  check_images<ShortcutABackward>(kShort, kImages, backward);
}

TEST_CASE("a global average of bf16 is an f32, its gradient a bf16") {
  const auto x = held<Bf16>(numbers(kPixels, 7));
  const auto narrow_x = stored<Bf16>(x);
  std::vector<float> y(6), of_narrow(6), grad_x(kPixels);
  std::vector<Bf16> narrow_grad_x(kPixels);
  run_reference<GlobalAvgPool<float>>({{x.data(), kImages}, {y.data(), {2, 3}}});
  run_reference<GlobalAvgPool<Bf16>>({{narrow_x.data(), kImages}, {of_narrow.data(), {2, 3}}});
  CHECK(of_narrow == y);
  run_reference<GlobalAvgPoolBackward<float>>({{y.data(), {2, 3}}, {grad_x.data(), kImages}});
  run_reference<GlobalAvgPoolBackward<Bf16>>({{y.data(), {2, 3}}, {narrow_grad_x.data(), kImages}});
  CHECK(same_bits(narrow_grad_x, stored<Bf16>(grad_x)));
}

TEST_CASE("functions of bf16 elements are those of f32, rounded once, slopes too") {
  const size_t n = 257;
  const auto x = held<Bf16>(numbers(n, 8)), g = held<Bf16>(numbers(n, 9));
  const auto narrow_x = stored<Bf16>(x), narrow_g = stored<Bf16>(g);
  const auto check = [&]<class F>(F) {
    for (const bool slope : {false, true}) {
      std::vector<float> y(n);
      std::vector<Bf16> narrow_y(n);
      const std::array<int64_t, 1> all{int64_t(n)};
      typename MapUnary<F, float>::Args a{{x.data(), all}, {}, {y.data(), all}, -0.5f, 0.7f};
      typename MapUnary<F, Bf16>::Args b{
          {narrow_x.data(), all}, {}, {narrow_y.data(), all}, -0.5f, 0.7f};
      if (slope) a.grad_y = {g.data(), all}, b.grad_y = {narrow_g.data(), all};
      launch<MapUnary<F, float>>(a);
      launch<MapUnary<F, Bf16>>(b);
      CAPTURE(F::name, slope);
      CHECK(same_bits(narrow_y, stored<Bf16>(y)));
    }
  };
  check(functions::relu()), check(functions::gelu()), check(functions::mul_number());
  check(functions::clamp()), check(functions::exp());
}

TEST_CASE("functions of two bf16 elements are those of f32 under broadcasting, rounded once") {
  const auto a = held<Bf16>(numbers(30, 10)), b = held<Bf16>(numbers(6, 11));
  const auto narrow_a = stored<Bf16>(a), narrow_b = stored<Bf16>(b);
  const BroadcastPlan plan = plan_broadcast({5, 6}, {6}, {5, 6});
  std::vector<float> y(30);
  std::vector<Bf16> narrow_y(30);
  launch<MapBinary<functions::add, float>>({plan, a.data(), b.data(), {y.data(), {30}}});
  launch<MapBinary<functions::add, Bf16>>(
      {plan, narrow_a.data(), narrow_b.data(), {narrow_y.data(), {30}}});
  CHECK(same_bits(narrow_y, stored<Bf16>(y)));
}

TEST_CASE("conversions round once and widen exactly") {
  const auto x = numbers(100, 12);
  std::vector<Bf16> narrow(100);
  std::vector<float> wide(100);
  launch<Convert<float, Bf16>>({{x.data(), {100}}, {narrow.data(), {100}}});
  launch<Convert<Bf16, float>>({{narrow.data(), {100}}, {wide.data(), {100}}});
  CHECK(same_bits(narrow, stored<Bf16>(x)));
  CHECK(wide == widened(narrow));
}
