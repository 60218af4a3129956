#include <simt/kernel_test.h>
#include <simt/pipelined_gemm.cuh>

namespace apprentice {

KERNEL_TEST_CASE("a pipelined mma GEMM equals its reference on whole tiles and tails") {
  struct Sizes {
    int m, n, k;
  };
  const auto [m, n, k] = GENERATE(Sizes{64, 64, 64}, Sizes{128, 192, 256}, Sizes{1, 64, 64},
                                  Sizes{65, 63, 128}, Sizes{100, 1, 192}, Sizes{7, 66, 64});
  const auto x = testing::random_bytes<int8_t>(size_t(m) * k, 3);
  const auto w = testing::random_integers<int8_t>(size_t(n) * k, -1, 1, 4);
  const auto dx = simt::Buffer<int8_t>::from(x);
  const auto dw = simt::Buffer<uint32_t>::from(kernels::pack_ternary_words(w, n, k));
  const simt::Buffer<int> dy(size_t(m) * n);
  kernels::SIMT_NS::launch_pipelined_gemm(dx.data(), dw.data(), dy.data(), m, n, k);
  std::vector<int> expected(size_t(m) * n, 0);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      for (int c = 0; c < k; ++c)
        expected[size_t(i) * n + j] += x[size_t(i) * k + c] * w[size_t(j) * k + c];
  CAPTURE(m, n, k);
  CHECK(dy.values() == expected);
}

}  // namespace apprentice
