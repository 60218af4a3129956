#include <cuda/bf16.h>
#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/pool.cuh>

namespace apprentice {
namespace {

using namespace kernels;
using Sizes = std::array<int64_t, 4>;
using testing::Both;
using testing::stored;
using testing::widened;

struct Problem {
  Sizes x;
  Pool2dGeometry geometry;
  std::array<int64_t, 2> adaptive{};  ///< output, of an adaptive pooling

  Sizes y() const {
    if (geometry.adaptive) return {x[0], adaptive[0], adaptive[1], x[3]};
    return {x[0], geometry.out_size(0, x[1]), geometry.out_size(1, x[2]), x[3]};
  }
};

Pool2dGeometry windows(int64_t size, int64_t stride, int64_t padding, bool count = true) {
  Pool2dGeometry g;
  g.kernel_size = {size, size}, g.stride = {stride, stride}, g.padding = {padding, padding};
  g.count_include_pad = count;
  return g;
}
Pool2dGeometry adaptive() {
  Pool2dGeometry g;
  g.adaptive = true;
  return g;
}
Pool2dGeometry oblong() {
  Pool2dGeometry g;
  g.kernel_size = {3, 2}, g.stride = {1, 3}, g.padding = {1, 0};
  return g;
}

/// Windows that tile, overlap, leave gaps or hang over the edge; one pixel, odd sizes, no image,
/// more elements than a block.
const Problem kProblems[] = {
    {{1, 1, 1, 1}, windows(1, 1, 0)},   {{2, 4, 6, 3}, windows(2, 2, 0)},
    {{2, 7, 9, 17}, windows(3, 2, 1)},  {{1, 8, 8, 33}, windows(3, 1, 1, false)},
    {{2, 7, 5, 5}, windows(2, 3, 0)},   {{1, 5, 4, 64}, windows(5, 1, 2, false)},
    {{1, 6, 11, 4}, oblong()},          {{2, 7, 10, 3}, adaptive(), {3, 4}},
    {{1, 5, 3, 2}, adaptive(), {7, 3}}, {{3, 6, 6, 1}, adaptive(), {1, 1}},
    {{0, 4, 4, 3}, windows(2, 2, 0)},   {{1, 2, 2, 300}, windows(2, 1, 1)},
};

size_t count(const Sizes& s) { return size_t(s[0] * s[1] * s[2] * s[3]); }

/// Eighths: sums of windows are exact, and so is each in bf16.
std::vector<float> eighths(const Sizes& s, unsigned seed) {
  auto x = testing::random_integers<float>(count(s), -64, 64, seed);
  for (float& v : x) v /= 8;
  return x;
}

/// The numbers that T holds of these: what kernels of T and of f32 are both given.
template <class T>
std::vector<float> held(const std::vector<float>& numbers) {
  return widened(stored<T>(numbers));
}

template <class T>
void check_same(const Both<T>& values) {
  const auto got = values.got();
  for (size_t i = 0; i < got.size(); ++i)
    if (got[i] != values.host[i] && got[i] == got[i])
      FAIL(i << ": got " << +got[i] << ", expected " << +values.host[i]);
}

/// y, of T, is what the CPU gives in f32, rounded.
template <class T>
void check_rounded(const Both<T>& y, const std::vector<float>& expected) {
  CHECK(y.got() == stored<T>(expected));
}

template <class T>
void check_max_pool(const Problem& p, const std::vector<T>& values) {
  Both<T> x(values), y(std::vector<T>(count(p.y())));
  Both<int32_t> at(std::vector<int32_t>(count(p.y()), -1));
  launch<MaxPool2d<T>>({x.on_host(p.x), y.on_host(p.y()), at.on_host(p.y()), p.geometry});
  SIMT_NS::max_pool<T>({x.on_device(p.x), y.on_device(p.y()), at.on_device(p.y()), p.geometry},
                       nullptr);
  check_same(y);
  check_same(at);
  const Both<T> alone(std::vector<T>(count(p.y())));
  SIMT_NS::max_pool<T>({x.on_device(p.x), alone.on_device(p.y()), {}, p.geometry}, nullptr);
  CHECK(alone.got() == y.got());
}

template <class T>
void check_first_nan() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto x = simt::Buffer<T>::from(stored<T>({9, nan, nan, 10}));
  const simt::Buffer<T> y(1);
  const simt::Buffer<int32_t> at(1);
  const Sizes one{1, 1, 1, 1};
  const typename MaxPool2d<T>::Args args{
      {x.data(), {1, 2, 2, 1}}, {y.data(), one}, {at.data(), one}, windows(2, 2, 0)};
  SIMT_NS::max_pool<T>(args, nullptr);
  CHECK(std::isnan(float(y.values()[0])));
  CHECK(at.values()[0] == 1);
}

template <class T>
void check_max_pool_gradient(const Problem& p) {
  auto x = testing::random_integers<float>(count(p.x), -3, 3, 3);
  std::vector<float> y(count(p.y())), gradients = eighths(p.y(), 4), grad_x(count(p.x));
  for (float& g : gradients) g /= 3;  // sums that round: their order counts
  gradients = held<T>(gradients);
  std::vector<int32_t> places(count(p.y()));
  launch<MaxPool2d<float>>(
      {{x.data(), p.x}, {y.data(), p.y()}, {places.data(), p.y()}, p.geometry});
  launch<MaxPool2dBackward<float>>(
      {{gradients.data(), p.y()}, {places.data(), p.y()}, {grad_x.data(), p.x}, p.geometry});
  const Both<int32_t> at(places);
  const Both<T> device_grad_y(stored<T>(gradients)), device_grad_x(std::vector<T>(count(p.x)));
  SIMT_NS::max_pool_backward<T>({device_grad_y.on_device(p.y()), at.on_device(p.y()),
                                 device_grad_x.on_device(p.x), p.geometry},
                                nullptr);
  check_rounded(device_grad_x, grad_x);
}

template <class T>
void check_averages(const Problem& p) {
  Both<float> x(eighths(p.x, 5)), y(std::vector<float>(count(p.y())));
  const Both<T> device_x(stored<T>(x.host)), device_y(std::vector<T>(count(p.y())));
  launch<AvgPool2d<float>>({x.on_host(p.x), y.on_host(p.y()), p.geometry});
  SIMT_NS::avg_pool<T>({device_x.on_device(p.x), device_y.on_device(p.y()), p.geometry}, nullptr);
  check_rounded(device_y, y.host);
  Both<float> grad_y(eighths(p.y(), 6)), grad_x(std::vector<float>(count(p.x)));
  const Both<T> device_grad_y(stored<T>(grad_y.host)), device_grad_x(std::vector<T>(count(p.x)));
  launch<AvgPool2dBackward<float>>({grad_y.on_host(p.y()), grad_x.on_host(p.x), p.geometry});
  SIMT_NS::avg_pool_backward<T>(
      {device_grad_y.on_device(p.y()), device_grad_x.on_device(p.x), p.geometry}, nullptr);
  check_rounded(device_grad_x, grad_x.host);
}

/// Averages are in f32 whatever T; their gradients are of T.
template <class T>
void check_global_averages(const Sizes& s) {
  const std::array<int64_t, 2> means{s[0], s[3]};
  const auto n = size_t(s[0] * s[3]);
  Both<float> x(eighths(s, 7)), y{std::vector<float>(n)}, grad_x(std::vector<float>(count(s)));
  const Both<T> device_x(stored<T>(x.host)), device_grad_x(std::vector<T>(count(s)));
  launch<GlobalAvgPool<float>>({x.on_host(s), y.on_host(means)});
  const typename GlobalAvgPool<T>::Args args{device_x.on_device(s), y.on_device(means)};
  const simt::Buffer<unsigned char> scratch(
      SIMT_NS::reduce_scratch_bytes(SIMT_NS::pooled_sizes(args)));
  SIMT_NS::global_avg_pool<T>(args, scratch.data(), nullptr);
  CHECK(y.got() == y.host);  // eighths: the sums are exact, the quotients rounded once
  launch<GlobalAvgPoolBackward<float>>({y.on_host(means), grad_x.on_host(s)});
  SIMT_NS::global_avg_pool_backward<T>({y.on_device(means), device_grad_x.on_device(s)}, nullptr);
  check_rounded(device_grad_x, grad_x.host);
}

template <class T>
void check_shortcut(const Sizes& s, int64_t out, int64_t stride) {
  const Sizes to{s[0], (s[1] + stride - 1) / stride, (s[2] + stride - 1) / stride, out};
  Both<float> x(eighths(s, 8)), y(std::vector<float>(count(to)));
  const Both<T> device_x(stored<T>(x.host)), device_y(std::vector<T>(count(to)));
  launch<ShortcutA<float>>({x.on_host(s), y.on_host(to), stride});
  SIMT_NS::shortcut_a<T>({device_x.on_device(s), device_y.on_device(to), stride}, nullptr);
  check_rounded(device_y, y.host);
  Both<float> grad_y(eighths(to, 9)), grad_x(std::vector<float>(count(s)));
  const Both<T> device_grad_y(stored<T>(grad_y.host)), device_grad_x(std::vector<T>(count(s)));
  launch<ShortcutABackward<float>>({grad_y.on_host(to), grad_x.on_host(s), stride});
  SIMT_NS::shortcut_a_backward<T>({device_grad_y.on_device(to), device_grad_x.on_device(s), stride},
                                  nullptr);
  check_rounded(device_grad_x, grad_x.host);
}

}  // namespace

KERNEL_TEST_CASE("the largest of windows and their places are those of the CPU, ties too") {
  for (const Problem& p : kProblems) {
    CAPTURE(p.x, p.y());
    const auto few = testing::random_integers<float>(count(p.x), -3, 3, 1);
    const std::vector<float> lowest(count(p.x), -std::numeric_limits<float>::infinity());
    check_max_pool(p, few);
    check_max_pool(p, stored<Bf16>(few));
    check_max_pool(p, testing::random_integers<uint8_t>(count(p.x), 0, 3, 2));
    check_max_pool(p, lowest);
    check_max_pool(p, stored<Bf16>(lowest));
  }
}

KERNEL_TEST_CASE("the first NaN of a window is its largest") {
  check_first_nan<float>();
  check_first_nan<Bf16>();
}

KERNEL_TEST_CASE("the gradient goes to the places of the largest, bit for bit as on the CPU") {
  for (const Problem& p : kProblems) {
    CAPTURE(p.x, p.y());
    check_max_pool_gradient<float>(p);
    check_max_pool_gradient<Bf16>(p);
  }
}

KERNEL_TEST_CASE("averages and their gradients are those of the CPU, bit for bit") {
  for (const Problem& p : kProblems) {
    CAPTURE(p.x, p.y());
    check_averages<float>(p);
    check_averages<Bf16>(p);
  }
}

KERNEL_TEST_CASE("global averages and their gradients are those of the CPU, bit for bit") {
  for (const Sizes& s : {Sizes{1, 1, 1, 1}, Sizes{2, 4, 4, 64}, Sizes{3, 7, 7, 33},
                         Sizes{1, 30, 41, 10}, Sizes{300, 3, 1, 1}, Sizes{0, 2, 2, 3}}) {
    CAPTURE(s);
    check_global_averages<float>(s);
    check_global_averages<Bf16>(s);
  }
}

KERNEL_TEST_CASE("the shortcut without parameters and its gradient are those of the CPU") {
  struct Shortcut {
    Sizes x;
    int64_t out, stride;
  };
  for (const auto& [s, out, stride] :
       {Shortcut{{1, 1, 1, 1}, 1, 1}, Shortcut{{2, 4, 6, 16}, 32, 2}, Shortcut{{2, 5, 7, 3}, 8, 2},
        Shortcut{{1, 7, 8, 17}, 34, 3}, Shortcut{{0, 4, 4, 3}, 6, 2}}) {
    CAPTURE(s, out, stride);
    check_shortcut<float>(s, out, stride);
    check_shortcut<Bf16>(s, out, stride);
  }
}

}  // namespace apprentice
