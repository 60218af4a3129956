#include <cuda/bf16.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice {
namespace {

/// The error of a function of the device's mathematical library and of the host's, each within 4
/// units in the last place (CUDA C++ Programming Guide, mathematical functions) of its steps, of
/// which the functions here take at most four.
constexpr float kRelative = 4 * 2 * 4 * 0x1p-24f;

/// Numbers as bf16 elements behind a head of as many others.
std::vector<Bf16> behind(size_t head, std::vector<float> numbers) {
  numbers.insert(numbers.begin(), head, 0.0f);
  return testing::stored<Bf16>(numbers);
}

/// The same on bf16 tensors, words or not: `wide`, which f32 gives of these numbers, rounded.
template <class F>
void check_rounded(const std::vector<float>& x,
                   const typename kernels::MapUnary<F, float>::Args& of,
                   const std::vector<float>& wide) {
  for (const size_t head : {size_t(0), size_t(1)}) {
    const auto dx = simt::Buffer<Bf16>::from(behind(head, x));
    const auto dy = simt::Buffer<Bf16>::from(behind(head, std::vector<float>(x.size())));
    typename kernels::MapUnary<F, Bf16>::Args args;
    args.x = {dx.data() + head, of.x.sizes};
    if (of.grad_y) args.grad_y = args.x;
    args.y = {dy.data() + head, of.y.sizes};
    args.a = of.a, args.b = of.b;
    kernels::SIMT_NS::map_unary<F, Bf16>(args, nullptr);
    CHECK(testing::same_bits(dy.values(), behind(head, wide)));
  }
}

template <class F>
void check_unary(float low, float high) {
  for (const int64_t n : {1, 255, 257, 5000}) {
    const auto count = static_cast<size_t>(n);
    std::vector<float> x(count), expected(count);
    // Numbers that bf16 holds.
    for (int64_t i = 0; i < n; ++i) x[size_t(i)] = Bf16(low + (high - low) * float(i % 97) / 97);
    for (const bool gradient : {false, true}) {
      using Op = kernels::MapUnary<F, float>;
      typename Op::Args args;
      args.a = -0.5f;
      args.b = 0.75f;
      args.x = {x.data(), {n}};
      if (gradient) args.grad_y = args.x;
      args.y = {expected.data(), {n}};
      kernels::launch<Op>(args);
      const auto dx = simt::Buffer<float>::from(x);
      const simt::Buffer<float> dy(count);
      args.x.data = dx.data();
      if (gradient) args.grad_y.data = dx.data();
      args.y.data = dy.data();
      kernels::SIMT_NS::map_unary<F, float>(args, nullptr);
      const auto got = dy.values();
      check_rounded<F>(x, args, got);
      CAPTURE(F::name, n, gradient);
      for (size_t i = 0; i < count; ++i)
        if (!(std::abs(got[i] - expected[i]) <= kRelative * (1 + std::abs(expected[i]))) &&
            !(std::isnan(got[i]) && std::isnan(expected[i])))
          FAIL("x " << x[i] << ": got " << got[i] << ", expected " << expected[i]);
    }
  }
}

template <class F>
void check_binary(const Shape& a, const Shape& b, const Shape& y) {
  const auto va = testing::random_integers<float>(size_t(a.numel()), 1, 9, 1);
  const auto vb = testing::random_integers<float>(size_t(b.numel()), 1, 9, 2);
  std::vector<float> expected(size_t(y.numel()));
  using Op = kernels::MapBinary<F, float>;
  const kernels::BroadcastPlan plan = kernels::plan_broadcast(a, b, y);
  kernels::launch<Op>({plan, va.data(), vb.data(), {expected.data(), {y.numel()}}});
  const auto da = simt::Buffer<float>::from(va), db = simt::Buffer<float>::from(vb);
  const simt::Buffer<float> dy(expected.size());
  kernels::SIMT_NS::map_binary<F, float>({plan, da.data(), db.data(), {dy.data(), {y.numel()}}},
                                         nullptr);
  CAPTURE(F::name, a.str(), b.str());
  CHECK(dy.values() == expected);

  for (const size_t head : {size_t(0), size_t(1)}) {
    const auto na = simt::Buffer<Bf16>::from(behind(head, va));
    const auto nb = simt::Buffer<Bf16>::from(behind(head, vb));
    const auto ny = simt::Buffer<Bf16>::from(behind(head, std::vector<float>(expected.size())));
    kernels::SIMT_NS::map_binary<F, Bf16>(
        {plan, na.data() + head, nb.data() + head, {ny.data() + head, {y.numel()}}}, nullptr);
    CHECK(testing::same_bits(ny.values(), behind(head, expected)));
  }
}

}  // namespace

KERNEL_TEST_CASE("functions of one number are those of the CPU, slopes too") {
  namespace f = kernels::functions;
#define APPRENTICE_UNARY(name, value, slope) check_unary<f::name>(0.125f, 7.0f);
#define APPRENTICE_BINARY(name, value)
#include <apprentice/kernels/functions.inc>
#undef APPRENTICE_UNARY
#undef APPRENTICE_BINARY
  check_unary<f::relu>(-3, 3);
  check_unary<f::hardtanh>(-3, 3);
  check_unary<f::gelu>(-3, 3);
}

KERNEL_TEST_CASE("functions of two numbers are those of the CPU under broadcasting") {
  namespace f = kernels::functions;
  struct Shapes {
    Shape a, b, y;
  };
  for (const auto& [a, b, y] :
       {Shapes{{1}, {1}, {1}}, Shapes{{257}, {257}, {257}}, Shapes{{7, 33}, {33}, {7, 33}},
        Shapes{{5, 1, 3}, {1, 65, 1}, {5, 65, 3}}, Shapes{{}, {300}, {300}}}) {
#define APPRENTICE_UNARY(name, value, slope)
#define APPRENTICE_BINARY(name, value) check_binary<f::name>(a, b, y);
#include <apprentice/kernels/functions.inc>
#undef APPRENTICE_UNARY
#undef APPRENTICE_BINARY
  }
}

KERNEL_TEST_CASE("a grid that is too small for all elements maps them in several rounds") {
  using namespace kernels::SIMT_NS;
  namespace f = kernels::functions;
  const int64_t n = 3077;
  const auto x = testing::random_integers<float>(size_t(n), -9, 9, 3);
  std::vector<float> expected(x);
  for (float& v : expected) v = std::max(v, 0.0f);

  const auto dx = simt::Buffer<float>::from(x);
  const simt::Buffer<float> dy(x.size());
  kernels::MapUnary<f::relu, float>::Args args;
  args.x = {dx.data(), {n}}, args.y = {dy.data(), {n}};
  simt::launch(map_unary_kernel<f::relu, float>, 2, kMapThreads, 0, nullptr, args, false);
  CHECK(dy.values() == expected);

  const auto nx = simt::Buffer<Bf16>::from(testing::stored<Bf16>(x));
  const simt::Buffer<Bf16> ny(x.size());
  kernels::MapUnary<f::relu, Bf16>::Args narrow;
  narrow.x = {nx.data(), {n}}, narrow.y = {ny.data(), {n}};
  for (const bool words : {false, true}) {
    CAPTURE(words);
    simt::launch(map_unary_kernel<f::relu, Bf16>, 2, kMapThreads, 0, nullptr, narrow, words);
    CHECK(testing::widened(ny.values()) == expected);
  }
}

}  // namespace apprentice
