#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <cmath>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/fold_batch_norm.cuh>

namespace apprentice {

KERNEL_TEST_CASE("a batch norm is folded into weights bit for bit as on the CPU") {
  using testing::Both;
  const auto [out, k] =
      GENERATE(std::pair{1, 1}, std::pair{5, 27}, std::pair{3, 255}, std::pair{2, 257});
  const int steps = GENERATE(0, 1, 2);  // none, one, one a row
  CAPTURE(out, k, steps);
  const auto some = [&](size_t n, int low, int high, unsigned seed) {
    auto values = testing::random_integers<float>(n, low, high, seed);
    for (float& v : values) v /= 3;
    return Both<float>(values);
  };
  const auto rows = size_t(out);
  Both<float> w = some(size_t(out * k), -100, 100, 1), step = some(steps == 2 ? rows : 1, 1, 9, 2);
  Both<float> gamma = some(rows, -9, 9, 3), beta = some(rows, -9, 9, 4);
  Both<float> mean = some(rows, -9, 9, 5), var = some(rows, 0, 9, 6);
  Both<float> folded(std::vector<float>(w.host.size())), bias{std::vector<float>(rows)};
  const std::array<int64_t, 2> matrix{out, k};
  const std::array<int64_t, 1> channels{out}, of_step{int64_t(step.host.size())};
  kernels::FoldBatchNorm<float>::Args host{w.on_host(matrix),
                                           {},
                                           gamma.on_host(channels),
                                           beta.on_host(channels),
                                           mean.on_host(channels),
                                           var.on_host(channels),
                                           1e-5,
                                           folded.on_host(matrix),
                                           bias.on_host(channels)};
  kernels::FoldBatchNorm<float>::Args device{w.on_device(matrix),
                                             {},
                                             gamma.on_device(channels),
                                             beta.on_device(channels),
                                             mean.on_device(channels),
                                             var.on_device(channels),
                                             1e-5,
                                             folded.on_device(matrix),
                                             bias.on_device(channels)};
  if (steps) host.step = step.on_host(of_step), device.step = step.on_device(of_step);
  kernels::launch<kernels::FoldBatchNorm<float>>(host);
  kernels::SIMT_NS::fold_batch_norm(device, nullptr);
  CHECK(folded.got() == folded.host);
  CHECK(bias.got() == bias.host);

  const double g = double(gamma.host[0]) / std::sqrt(double(var.host[0]) + 1e-5);
  const double scale = g * (steps ? double(step.host[0]) : 1);
  CHECK(double(folded.host[0]) == Approx(scale * double(w.host[0])));
  CHECK(double(bias.host[0]) ==
        Approx(double(beta.host[0]) - double(mean.host[0]) * g).margin(1e-6));
}

}  // namespace apprentice
