#include <apprentice/kernels/gemm.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::Outputs;
using test::Random;

TEST_CASE("every gemm kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(0u, 40u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t m = random.pick({0, 1, 2, 7, 33, 128}), n = random.pick({0, 1, 3, 10, 65});
  const int64_t k = random.pick({0, 1, 5, 64, 129});
  const bool transpose_a = random.flip(), transpose_b = random.flip();
  const bool bias = random.flip(), accumulate = random.flip();
  const auto a = random.uniform<2>({transpose_a ? k : m, transpose_a ? m : k});
  const auto b = random.uniform<2>({transpose_b ? n : k, transpose_b ? k : n});
  const auto bias_values = random.uniform<1>({n});
  const auto start = random.uniform<2>({m, n});
  const double bound = Gemm<float>::error_bound(k, double(k) + 2);
  test::agree<Gemm<float>>([&](Outputs& out) {
    const auto c = accumulate ? out.updated(start, bound) : out.view<2>({m, n}, bound);
    return Gemm<float>::Args{
        a, b, bias ? bias_values : View1<const float>{}, c, transpose_a, transpose_b, accumulate};
  });
}

TEST_CASE("gemm of two known matrices gives their product") {
  const auto family = GENERATE("reference", "onednn");
  CAPTURE(family);
  load_dense_units();
  const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8, 9, 10, 11, 12};
  float c[4] = {};
  const Gemm<float>::Args args{{a, {2, 3}}, {b, {3, 2}}, {}, {c, {2, 2}}, false, false, false};
  kernel_table<Gemm<float>>().select(args, {family, true}).run(args, {});
  CHECK(std::vector<float>(c, c + 4) == std::vector<float>{58, 64, 139, 154});
}
