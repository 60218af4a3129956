#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/bf16.h>
#include <apprentice/kernels/cuda/reduce.cuh>

namespace apprentice {
namespace {

using kernels::ArgMax;
using kernels::Reduce;
using kernels::ReduceKind;
using testing::stored;
using Sizes = std::array<int64_t, 3>;

/// Rows of a warp (256 at most) and longer ones, columns around the widths of tiles, axes around
/// the 16 rows a thread from which they are cut into parts, and an empty axis.
const Sizes kSizes[] = {{1, 1, 1},    {9, 33, 1},   {3, 256, 1},   {2, 257, 1},  {1, 4095, 1},
                        {1, 4097, 1}, {2, 9000, 1}, {3, 7, 2},     {2, 129, 31}, {1, 128, 32},
                        {1, 300, 33}, {5, 1, 40},   {1, 1025, 10}, {2, 700, 17}, {2, 0, 3}};

/// Numbers that repeat, so that there is more than one largest, and, if asked for, NaNs and zeros
/// of both signs.
std::vector<float> numbers(const Sizes& s, bool special) {
  auto x = testing::random_integers<float>(size_t(s[0] * s[1] * s[2]), -20, 20, 3);
  for (size_t i = 0; special && i < x.size(); ++i) {
    if (i % 41 == 7) x[i] = -0.0f;
    if (i % 1009 == 1000) x[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return x;
}

/// ours(args, scratch, stream) beside the CPU's kernel: [0] is ours, [1] the CPU's.
template <class Op, class Out, class Args, class X>
std::array<std::vector<Out>, 2> results(Args args, const std::vector<X>& x, const Sizes& s,
                                        void (*ours)(const Args&, void*, simt::Stream)) {
  std::vector<Out> expected(size_t(s[0] * s[2]));
  args.x = {x.data(), s};
  args.y = {expected.data(), {s[0], s[2]}};
  kernels::launch<Op>(args);
  const auto dx = simt::Buffer<X>::from(x);
  const simt::Buffer<Out> dy(expected.size());
  const simt::Buffer<unsigned char> scratch(kernels::SIMT_NS::reduce_scratch_bytes(s));
  args.x.data = dx.data(), args.y.data = dy.data();
  ours(args, scratch.data(), nullptr);
  return {dy.values(), expected};
}

template <class T = float>
typename Reduce<T>::Args of_kind(ReduceKind kind) {
  typename Reduce<T>::Args args;
  args.kind = kind;
  return args;
}

bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

KERNEL_TEST_CASE("sums, means and largest numbers are those of the CPU along any axis") {
  for (const Sizes& s : kSizes)
    for (const auto kind : {ReduceKind::sum, ReduceKind::mean, ReduceKind::max})
      for (const bool special : {false, true}) {
        const auto y = results<Reduce<float>, float>(of_kind(kind), numbers(s, special), s,
                                                     kernels::SIMT_NS::reduce<float>);
        const auto narrow =
            results<Reduce<Bf16>, float>(of_kind<Bf16>(kind), stored<Bf16>(numbers(s, special)), s,
                                         kernels::SIMT_NS::reduce<Bf16>);
        CAPTURE(s, int(kind), special);
        // Integers: the sums are exact in any order, and bf16 holds them.
        for (size_t i = 0; i < y[0].size(); ++i) {
          if (!same(y[0][i], y[1][i])) FAIL(i << ": got " << y[0][i] << ", expected " << y[1][i]);
          if (!same(narrow[0][i], y[1][i]) || !same(narrow[1][i], y[1][i]))
            FAIL(i << ": of bf16, got " << narrow[0][i] << " and, of the CPU, " << narrow[1][i]
                   << ", expected " << y[1][i]);
        }
      }
}

KERNEL_TEST_CASE("the first of the largest numbers, or the first NaN, is found along any axis") {
  for (const Sizes& s : kSizes)
    for (const bool special : {false, true}) {
      if (s[1] == 0) continue;
      const auto y = results<ArgMax<float>, int64_t>(ArgMax<float>::Args{}, numbers(s, special), s,
                                                     kernels::SIMT_NS::argmax);
      CAPTURE(s, special);
      CHECK(y[0] == y[1]);
    }
}

KERNEL_TEST_CASE("among numbers of either sign, infinities too, the largest is found") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{-inf, -1, -0.0f, 0.0f, -inf, -inf, 1e-40f, 2, inf, -3, -2, -2};
  const Sizes s{4, 3, 1};
  const auto at = results<ArgMax<float>, int64_t>({}, x, s, kernels::SIMT_NS::argmax);
  CHECK(at[0] == std::vector<int64_t>{2, 0, 2, 1});
  const auto top = results<Reduce<float>, float>(of_kind(ReduceKind::max), x, s,
                                                 kernels::SIMT_NS::reduce<float>);
  CHECK(top[0] == std::vector<float>{0, 0, inf, -2});
}

KERNEL_TEST_CASE("a sum keeps what floats would lose") {
  std::vector<float> x(6000, 0x1p-24f);
  x[0] = 1;
  const auto y =
      results<Reduce<float>, float>({}, x, {1, 6000, 1}, kernels::SIMT_NS::reduce<float>);
  CHECK(y[0][0] == 1 + float(5999 * 0x1p-24));
}

KERNEL_TEST_CASE("a long axis is cut into parts, a short one is not") {
  CHECK(kernels::SIMT_NS::reduce_tiles({1, 4096, 1}).parts == 1);
  const auto tiles = kernels::SIMT_NS::reduce_tiles({1, 10000000, 1});
  CHECK(tiles.parts == 528);
  CHECK(tiles.parts * tiles.chunk >= 10000000);
  CHECK((tiles.parts - 1) * tiles.chunk < 10000000);
  CHECK(kernels::SIMT_NS::reduce_tiles({1, 500000, 64}).parts > 256);
  CHECK(kernels::SIMT_NS::reduce_tiles({5000, 5000, 64}).parts == 1);
}

}  // namespace apprentice
