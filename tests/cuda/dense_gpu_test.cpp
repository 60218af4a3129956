// cuDNN and cuBLASLt behind the tables of dense operations, on a GPU: each operation against the
// reference of the CPU. Integers must come out exactly, which shows the direct algorithm and every
// index; other numbers within the operation's bound.
#include <fmt/core.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/files.h>
#include <apprentice/base/graph.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/plans/plan_cache.h>
#include <apprentice/kernels/dense/vendor_libraries.h>
#include <apprentice/kernels/gemm.h>
#include <kernels/agreement.h>
#include <support/temp_folder.h>

namespace apprentice {
void load_gpu_units();
}

using namespace apprentice;
using namespace apprentice::kernels;
using kernels::test::Random;

namespace {

constexpr Device kGpu{Device::Kind::cuda, 0};

/// The plan cache of this process, a fresh one, so that every choice is made here and now.
const apprentice::test::TempFolder& cache_folder() {
  static const apprentice::test::TempFolder folder;
  return folder;
}
const bool cache_is_set = ::setenv("APPRENTICE_CACHE", cache_folder().path().c_str(), 1) == 0;

/// Memory of the GPU for one problem.
class Gpu {
 public:
  template <class T, int R>
  View<T, R> copy(View<T, R> host) {
    if (!host) return {};
    const auto bytes = size_t(host.numel()) * sizeof(float);
    buffers_.push_back(std::make_unique<Buffer>(bytes + 1, kGpu));
    void* to = buffers_.back()->data();
    if (bytes > 0) copy_bytes(to, kGpu, host.data, Device{}, bytes, stream());
    return {static_cast<T*>(to), host.sizes};
  }
  template <int R>
  std::vector<float> fetch(View<float, R> view) const {
    std::vector<float> values(size_t(view.numel()));
    const size_t bytes = values.size() * sizeof(float);
    if (bytes > 0) copy_bytes(values.data(), Device{}, view.data, kGpu, bytes, stream());
    return values;
  }
  static Stream stream() { return current_stream(kGpu); }

 private:
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

/// Values of an output on the host, NaN before.
template <int R>
struct Output {
  std::vector<float> values;
  View<float, R> view;

  explicit Output(const std::array<int64_t, size_t(R)>& sizes) : view{nullptr, sizes} {
    values.assign(size_t(view.numel()) + 1, NAN);
    view.data = values.data();
  }
};

template <int R>
void check_near(const std::vector<float>& got, const Output<R>& expected, double tolerance) {
  int64_t differs_at = -1;
  for (size_t i = 0; i < got.size() && differs_at < 0; ++i)
    if (!(std::abs(double(got[i]) - double(expected.values[i])) <= tolerance))
      differs_at = int64_t(i);
  const auto at = size_t(std::max<int64_t>(differs_at, 0));
  CAPTURE(got[at], expected.values[at], tolerance);
  CHECK(differs_at == -1);
}

template <class Op>
void run_reference(const typename Op::Args& args) {
  kernel_table<Op>().select(args, {"reference", true}).run(args, {});
}

/// Runs the kernel for the GPU.
template <class Op>
void run_gpu(const typename Op::Args& args) {
  load_gpu_units();
  kernel_table<Op>().select(args, Preference{}, kGpu.kind).run(args, Gpu::stream());
}

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
    const int64_t in = geometry.groups * random.pick({1, 2, 3, 8, 16, 17, 64});
    const int64_t out = geometry.groups * random.pick({1, 2, 5, 16, 32, 33});
    x = {random.between(1, 5), random.between(5, 20), random.between(5, 20), in};
    w = {out, random.between(1, 3), random.between(1, 3), in / geometry.groups};
    y = {x[0], geometry.out_size(0, x[1], w[1]), geometry.out_size(1, x[2], w[2]), out};
  }
  int64_t taps() const { return w[1] * w[2] * w[3]; }
};

/// Numbers of a problem: integers, of which sums are exact, or reals of [-1, 1).
template <size_t R>
View<const float, int(R)> numbers(Random& random, const std::array<int64_t, R>& sizes,
                                  bool integers) {
  return integers ? random.integers(sizes, -9, 9) : random.uniform(sizes);
}

/// The most that sums of `terms` products of factors up to 1 may be off, factors rounded.
double bound(int64_t terms, Precision precision) {
  return Conv2d<float>::error_bound(terms, double(terms) + 2) +
         2.1 * rounding_of(precision) * double(terms);
}

/// How algorithms are chosen, while it lives.
class Choosing {
 public:
  explicit Choosing(dense::PlanChoice choice) : before_(dense::plan_choice()) {
    dense::plan_choice() = choice;
  }
  ~Choosing() { dense::plan_choice() = before_; }

 private:
  dense::PlanChoice before_;
};
/// Timing takes long, so only every fourth problem is chosen by it.
dense::PlanChoice choice_of(unsigned seed) {
  return seed % 4 == 3 ? dense::PlanChoice::timed : dense::PlanChoice::heuristic;
}

/// Both kinds of numbers in each precision; all keep small integers.
struct Way {
  bool integers = GENERATE(true, false);
  Precision precision = GENERATE(Precision::f32, Precision::tf32, Precision::bf16);
  double tolerance(int64_t terms) const { return integers ? 0 : bound(terms, precision); }
};

}  // namespace

TEST_CASE("conv2d on the GPU agrees with the reference", "[kernel][vendor]") {
  const Way way;
  const auto seed = GENERATE(range(0u, 8u));
  CAPTURE(way.integers, name_of(way.precision), seed);
  const Choosing choosing(choice_of(seed));
  Random random(seed);
  const Problem p(random);
  Conv2d<float>::Args args;
  args.x = numbers(random, p.x, way.integers);
  args.w = numbers(random, p.w, way.integers);
  if (random.flip()) args.bias = numbers<1>(random, {p.w[0]}, way.integers);
  if (random.flip()) args.residual = numbers(random, p.y, way.integers);
  args.relu = random.flip();
  args.geometry = p.geometry;
  args.precision = way.precision;
  Output<4> y(p.y);
  args.y = y.view;
  run_reference<Conv2d<float>>(args);
  Gpu gpu;
  Conv2d<float>::Args there = args;
  there.x = gpu.copy(args.x), there.w = gpu.copy(args.w), there.bias = gpu.copy(args.bias);
  there.residual = gpu.copy(args.residual), there.y = gpu.copy(args.y);
  run_gpu<Conv2d<float>>(there);
  check_near(gpu.fetch(there.y), y, way.tolerance(p.taps()));
}

TEST_CASE("conv2d's gradient of x on the GPU agrees with the reference", "[kernel][vendor]") {
  const Way way;
  const auto seed = GENERATE(range(100u, 108u));
  CAPTURE(way.integers, name_of(way.precision), seed);
  const Choosing choosing(choice_of(seed));
  Random random(seed);
  const Problem p(random);
  const auto grad_y = numbers(random, p.y, way.integers), w = numbers(random, p.w, way.integers);
  Output<4> grad_x(p.x);
  run_reference<Conv2dBackwardData<float>>({grad_y, w, grad_x.view, p.geometry, way.precision});
  Gpu gpu;
  const auto there = gpu.copy(grad_x.view);
  run_gpu<Conv2dBackwardData<float>>(
      {gpu.copy(grad_y), gpu.copy(w), there, p.geometry, way.precision});
  check_near(gpu.fetch(there), grad_x, way.tolerance(p.w[0] / p.geometry.groups * p.w[1] * p.w[2]));
}

TEST_CASE("conv2d's gradients of weight and bias on the GPU agree with the reference",
          "[kernel][vendor]") {
  const Way way;
  const auto seed = GENERATE(range(200u, 208u));
  CAPTURE(way.integers, name_of(way.precision), seed);
  const Choosing choosing(choice_of(seed));
  Random random(seed);
  const Problem p(random);
  Conv2dBackwardWeight<float>::Args args;
  args.x = numbers(random, p.x, way.integers);
  args.grad_y = numbers(random, p.y, way.integers);
  Output<4> grad_w(p.w);
  Output<1> grad_bias({p.w[0]});
  args.grad_w = grad_w.view;
  if (random.flip()) args.grad_bias = grad_bias.view;
  args.geometry = p.geometry;
  args.precision = way.precision;
  run_reference<Conv2dBackwardWeight<float>>(args);
  Gpu gpu;
  auto there = args;
  there.x = gpu.copy(args.x), there.grad_y = gpu.copy(args.grad_y);
  there.grad_w = gpu.copy(args.grad_w), there.grad_bias = gpu.copy(args.grad_bias);
  run_gpu<Conv2dBackwardWeight<float>>(there);
  const double tolerance = way.tolerance(p.y[0] * p.y[1] * p.y[2]);
  check_near(gpu.fetch(there.grad_w), grad_w, tolerance);
  if (args.grad_bias) check_near(gpu.fetch(there.grad_bias), grad_bias, tolerance);
}

TEST_CASE("codes convolve exactly on the GPU in every precision, up to sums of 8 M",
          "[kernel][vendor]") {
  const auto precision = GENERATE(Precision::f32, Precision::tf32, Precision::bf16);
  CAPTURE(name_of(precision));
  Random random(1);
  Conv2d<float>::Args args;
  args.x = random.fill<4>({2, 9, 8, 512}, [] { return 255.0f; });
  args.w = random.fill<4>({16, 3, 3, 512}, [&] { return random.flip() ? 7.0f : 6.0f; });
  args.geometry.padding = {1, 1};
  args.precision = precision;
  Output<4> y({2, 9, 8, 16});
  args.y = y.view;
  run_reference<Conv2d<float>>(args);
  Gpu gpu;
  auto there = args;
  there.x = gpu.copy(args.x), there.w = gpu.copy(args.w), there.y = gpu.copy(args.y);
  run_gpu<Conv2d<float>>(there);
  check_near(gpu.fetch(there.y), y, 0);
}

TEST_CASE("gemm on the GPU agrees with the reference", "[kernel][vendor]") {
  const Way way;
  const auto seed = GENERATE(range(300u, 320u));
  CAPTURE(way.integers, name_of(way.precision), seed);
  const Choosing choosing(choice_of(seed));
  Random random(seed);
  const int64_t m = random.pick({1, 2, 7, 33, 128}), n = random.pick({1, 3, 10, 65});
  const int64_t k = random.pick({0, 1, 5, 64, 129});
  using Two = std::array<int64_t, 2>;
  Gemm<float>::Args args;
  args.transpose_a = random.flip(), args.transpose_b = random.flip();
  args.accumulate = random.flip();
  args.a = numbers(random, args.transpose_a ? Two{k, m} : Two{m, k}, way.integers);
  args.b = numbers(random, args.transpose_b ? Two{n, k} : Two{k, n}, way.integers);
  if (random.flip()) args.bias = numbers<1>(random, {n}, way.integers);
  args.precision = way.precision;
  Output<2> c({m, n});
  const auto start = numbers(random, Two{m, n}, way.integers);
  if (args.accumulate) std::memcpy(c.view.data, start.data, size_t(m * n) * sizeof(float));
  args.c = c.view;
  Gpu gpu;
  auto there = args;
  there.a = gpu.copy(args.a), there.b = gpu.copy(args.b), there.bias = gpu.copy(args.bias);
  there.c = gpu.copy(args.c);
  run_reference<Gemm<float>>(args);
  run_gpu<Gemm<float>>(there);
  check_near(gpu.fetch(there.c), c, way.tolerance(k));
}

TEST_CASE("a convolution and its gradients give the same bits each time", "[kernel][vendor]") {
  const Choosing choosing(GENERATE(dense::PlanChoice::timed, dense::PlanChoice::heuristic));
  Random random(5);
  const std::array<int64_t, 4> x{32, 16, 16, 24}, w{40, 3, 3, 24}, y{32, 16, 16, 40};
  Conv2dGeometry geometry;
  geometry.padding = {1, 1};
  Gpu gpu;
  const auto there_x = gpu.copy(random.uniform(x)), there_w = gpu.copy(random.uniform(w)),
             there_y = gpu.copy(random.uniform(y));
  std::vector<std::vector<float>> first;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Output<4> out_x(x), out_w(w), out_y(y);
    const auto forward = gpu.copy(out_y.view), data = gpu.copy(out_x.view),
               weight = gpu.copy(out_w.view);
    run_gpu<Conv2d<float>>({there_x, there_w, {}, {}, forward, geometry, false});
    run_gpu<Conv2dBackwardData<float>>({there_y, there_w, data, geometry});
    run_gpu<Conv2dBackwardWeight<float>>({there_x, there_y, weight, {}, geometry});
    const std::vector<std::vector<float>> got{gpu.fetch(forward), gpu.fetch(data),
                                              gpu.fetch(weight)};
    if (repeat == 0) first = got;
    CHECK(got == first);
  }
}

TEST_CASE("a choice by timing is kept on disk, and the next who has the problem takes it",
          "[kernel][vendor]") {
  REQUIRE(cache_is_set);
  Random random(6);
  const std::array<int64_t, 4> x{8, 12, 12, 20}, w{24, 3, 3, 20}, y{8, 10, 10, 24};
  Gpu gpu;
  const auto there_x = gpu.copy(random.uniform(x)), there_w = gpu.copy(random.uniform(w));
  const auto run = [&] {
    const Output<4> out(y);
    const auto there = gpu.copy(out.view);
    run_gpu<Conv2d<float>>({there_x, there_w, {}, {}, there, {}, false});
    return gpu.fetch(there);
  };
  const auto first = run();
  const std::string file = cache_folder() / "dense_plans.json", kept = read_file(file);
  CHECK(kept.find("x nhwc 8x12x12x20 w ohwi 24x3x3x20") != std::string::npos);
  std::vector<float> second;
  std::thread([&] { second = run(); }).join();  // plans of its own
  CHECK(second == first);
  CHECK(read_file(file) == kept);
}

TEST_CASE("a convolution that is first met while a graph is recorded runs at each launch",
          "[kernel][vendor]") {
  const Choosing choosing(GENERATE(dense::PlanChoice::timed, dense::PlanChoice::heuristic));
  Random random(7);
  Conv2d<float>::Args args;
  args.x = numbers<4>(random, {6, 11, 11, 32}, true);
  args.w = numbers<4>(random, {40, 3, 3, 32}, true);
  args.precision = Precision::bf16;
  Output<4> y({6, 9, 9, 40});
  args.y = y.view;
  Gpu gpu;
  auto there = args;
  there.x = gpu.copy(args.x), there.w = gpu.copy(args.w), there.y = gpu.copy(args.y);
  run_reference<Conv2d<float>>(args);
  const Graph graph(kGpu, [&] { run_gpu<Conv2d<float>>(there); });
  for (int launch = 0; launch < 2; ++launch) {
    CAPTURE(launch);
    fill_bytes(there.y.data, 0xff, size_t(there.y.numel()) * sizeof(float), Gpu::stream());
    graph.launch(Gpu::stream());
    check_near(gpu.fetch(there.y), y, 0);
  }
}

TEST_CASE("the vendor's libraries are loaded where there is a GPU", "[kernel][vendor]") {
  CHECK(dense::cudnn_problem() == "");
  CHECK(dense::cublaslt_problem() == "");
  WARN("cuDNN: " << dense::cudnn_status() << "; cuBLASLt: " << dense::cublaslt_status());
}
