#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/ordered.cuh>

namespace apprentice {
namespace {

using namespace kernels;
using testing::Both;
using Sizes = std::array<int64_t, 4>;

size_t count(const Sizes& s) { return size_t(s[0] * s[1] * s[2] * s[3]); }

/// Thirds: products and sums round, so their order shows.
std::vector<float> thirds(size_t n, unsigned seed) {
  auto x = testing::random_integers<float>(n, -100, 100, seed);
  for (float& v : x) v /= 3;
  return x;
}

}  // namespace

KERNEL_TEST_CASE("convolutions in the one order give the CPU's bits, sums and codes") {
  struct Problem {
    Sizes x, w;
    int64_t stride, padding, dilation;
  };
  // Taps and outputs around 32, pixels around a tile of 32, images smaller than the window.
  for (const auto& [x_sizes, w_sizes, stride, padding, dilation] :
       {Problem{{1, 1, 1, 1}, {1, 1, 1, 1}, 1, 0, 1}, Problem{{2, 8, 8, 3}, {16, 3, 3, 3}, 1, 1, 1},
        Problem{{1, 9, 7, 3}, {33, 7, 7, 3}, 2, 3, 1},
        Problem{{2, 5, 6, 4}, {31, 2, 4, 4}, 1, 2, 1},
        Problem{{1, 11, 9, 2}, {5, 3, 3, 2}, 3, 2, 2},
        Problem{{1, 2, 2, 1}, {40, 3, 3, 1}, 1, 1, 1},
        Problem{{3, 4, 4, 32}, {32, 1, 1, 32}, 1, 0, 1},
        Problem{{0, 4, 4, 3}, {8, 3, 3, 3}, 1, 1, 1}}) {
    CAPTURE(x_sizes, w_sizes, stride, padding, dilation);
    const auto out = [&](size_t axis) {
      return (x_sizes[axis] + 2 * padding - dilation * (w_sizes[axis] - 1) - 1) / stride + 1;
    };
    const Sizes y_sizes{x_sizes[0], out(1), out(2), w_sizes[0]};
    const std::array<int64_t, 1> channels{w_sizes[0]};
    Both<float> x(thirds(count(x_sizes), 1)), w(thirds(count(w_sizes), 2));
    Both<float> a(thirds(size_t(w_sizes[0]), 3)), b(thirds(size_t(w_sizes[0]), 4));
    Both<float> sums(std::vector<float>(count(y_sizes)));
    Both<uint8_t> y(std::vector<uint8_t>(count(y_sizes)));
    for (float& v : a.host) v /= 1000;
    const auto scales = simt::Buffer<float>::from(a.host);
    OrderedConv2d::Args args;
    args.geometry.stride = {stride, stride}, args.geometry.padding = {padding, padding};
    args.geometry.dilation = {dilation, dilation};
    args.epilogue.max_code = 15;
    OrderedConv2d::Args ours = args;
    args.x = x.on_host(x_sizes), args.w = w.on_host(w_sizes);
    args.epilogue.a = a.on_host(channels), args.epilogue.b = b.on_host(channels);
    args.sums = sums.on_host(y_sizes), args.y = y.on_host(y_sizes);
    kernels::launch<OrderedConv2d>(args);
    ours.x = x.on_device(x_sizes), ours.w = w.on_device(w_sizes);
    ours.epilogue.a = {scales.data(), channels}, ours.epilogue.b = b.on_device(channels);
    ours.sums = sums.on_device(y_sizes), ours.y = y.on_device(y_sizes);
    SIMT_NS::ordered_conv2d(ours, nullptr);
    CHECK(sums.got() == sums.host);
    CHECK(y.got() == y.host);
    const simt::Buffer<uint8_t> alone(y.host.size());
    ours.sums = {}, ours.y.data = alone.data();
    SIMT_NS::ordered_conv2d(ours, nullptr);
    CHECK(alone.values() == y.host);
  }
}

KERNEL_TEST_CASE("a tap outside of the image is no product with zero") {
  const float inf = std::numeric_limits<float>::infinity();
  const auto x = simt::Buffer<float>::from(std::vector<float>{2});
  const auto w = simt::Buffer<float>::from(std::vector<float>{inf, 3, inf});
  const simt::Buffer<float> sums(1);
  OrderedConv2d::Args args;
  args.x = {x.data(), {1, 1, 1, 1}}, args.w = {w.data(), {1, 1, 3, 1}};
  args.geometry.padding = {0, 1};
  args.sums = {sums.data(), {1, 1, 1, 1}};
  SIMT_NS::ordered_conv2d(args, nullptr);
  CHECK(sums.values()[0] == 6);
}

KERNEL_TEST_CASE("linear maps in the one order give the CPU's bits") {
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                                {33, 10, 64},
                                {31, 33, 31},
                                {5, 100, 65},
                                {64, 32, 7},
                                {0, 10, 64}})
    for (const bool with_bias : {false, true}) {
      CAPTURE(m, n, k, with_bias);
      const std::array<int64_t, 2> x_sizes{m, k}, w_sizes{n, k}, y_sizes{m, n};
      const std::array<int64_t, 1> channels{n};
      Both<float> x(thirds(size_t(m * k), 1)), w(thirds(size_t(n * k), 2));
      Both<float> bias(thirds(size_t(n), 3)), y(std::vector<float>(size_t(m * n)));
      OrderedLinear::Args args, ours;
      args.x = x.on_host(x_sizes), args.w = w.on_host(w_sizes), args.y = y.on_host(y_sizes);
      ours.x = x.on_device(x_sizes), ours.w = w.on_device(w_sizes);
      ours.y = y.on_device(y_sizes);
      if (with_bias) args.bias = bias.on_host(channels), ours.bias = bias.on_device(channels);
      kernels::launch<OrderedLinear>(args);
      SIMT_NS::ordered_linear(ours, nullptr);
      CHECK(y.got() == y.host);
    }
}

namespace {

template <class T>
void check_pool(const Sizes& s) {
  CAPTURE(s);
  const std::array<int64_t, 2> y_sizes{s[0], s[3]};
  Both<T> x(testing::random_integers<T>(count(s), 0, 255, 5));
  Both<float> y(std::vector<float>(size_t(s[0] * s[3])));
  const Both<float> step({0.37f});  // which no host needs to know
  const auto there = Number<float>::in(step.on_device(std::array<int64_t, 1>{1}).data);
  launch<OrderedPool<T>>({x.on_host(s), 0.37f, y.on_host(y_sizes)});
  const typename OrderedPool<T>::Args args{x.on_device(s), there, y.on_device(y_sizes)};
  SIMT_NS::ordered_pool<T>(args, nullptr);
  CHECK(y.got() == y.host);
}

}  // namespace

KERNEL_TEST_CASE("poolings of codes give the CPU's bits") {
  for (const Sizes& s : {Sizes{1, 1, 1, 1}, Sizes{3, 8, 8, 64}, Sizes{2, 7, 7, 33},
                         Sizes{1, 70, 61, 1}, Sizes{0, 8, 8, 3}}) {
    check_pool<float>(s);
    check_pool<uint8_t>(s);
  }
}

}  // namespace apprentice
