#include <apprentice/kernels/pool.h>

#include "kernels/agreement.h"
#include "kernels/lowbit_problem.h"

namespace apprentice {

using kernels::MaxPool2d;
using kernels::Pool2dGeometry;

namespace {

/// The largest code of one window, by the definition.
uint8_t largest(const MaxPool2d<uint8_t>::Args& a, int64_t n, int64_t p, int64_t q, int64_t c) {
  const Pool2dGeometry& g = a.geometry;
  uint8_t top = 0;
  for (int64_t r = 0; r < g.kernel_size[0]; ++r) {
    for (int64_t s = 0; s < g.kernel_size[1]; ++s) {
      const int64_t h = p * g.stride[0] + r - g.padding[0], w = q * g.stride[1] + s - g.padding[1];
      if (h < 0 || h >= a.x.size(1) || w < 0 || w >= a.x.size(2)) continue;
      top = std::max(top, a.x(n, h, w, c));
    }
  }
  return top;
}

}  // namespace

TEST_CASE("every max_pool2d of codes gives the largest code of each window", "[pool]") {
  const auto seed = GENERATE(range(0u, 60u));
  kernels::test::Random random(seed);
  const test::Threads threads(seed % 8 == 0 ? 2 : 1);
  const std::array<int64_t, 4> x = {random.between(0, 3), random.between(3, 12),
                                    random.between(3, 12), random.pick({1, 16, 17, 64, 83, 130})};
  MaxPool2d<uint8_t>::Args args;
  for (const size_t axis : {0, 1}) {
    args.geometry.kernel_size[axis] = random.between(1, 3);
    args.geometry.stride[axis] = random.between(1, 3);
    args.geometry.padding[axis] = random.below(args.geometry.kernel_size[axis]);
  }
  Rng rng = test::problem_rng(seed);
  const auto codes = test::random_bytes(rng, x[0] * x[1] * x[2] * x[3] + 1);
  args.x = {codes.data(), x};
  args.y.sizes = {x[0], args.geometry.out_size(0, x[1]), args.geometry.out_size(1, x[2]), x[3]};
  std::vector<uint8_t> y(size_t(args.y.numel()) + 1), expected;
  args.y.data = y.data();
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t p = 0; p < args.y.size(1); ++p)
      for (int64_t q = 0; q < args.y.size(2); ++q)
        for (int64_t c = 0; c < x[3]; ++c) expected.push_back(largest(args, n, p, q, c));
  expected.push_back(77);  // nothing is written behind the last
  for (const auto& kernel : kernels::kernel_table<MaxPool2d<uint8_t>>().kernels()) {
    if (kernel.refuse && !kernel.refuse(args).empty()) continue;
    std::fill(y.begin(), y.end(), uint8_t(77));
    kernel.run(args, {});
    INFO(kernel.name << " seed " << seed);
    CHECK(bool(y == expected));
  }
}

}  // namespace apprentice
