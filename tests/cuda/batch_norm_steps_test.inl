#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/batch_norm_steps.cuh>

namespace apprentice {
namespace {

using testing::Both;

std::vector<float> numbers(int64_t n, unsigned seed) {
  auto v = testing::random_integers<float>(static_cast<size_t>(n), 1, 999, seed);
  for (float& x : v) x /= 700;
  return v;
}

}  // namespace

KERNEL_TEST_CASE("statistics in steps and running statistics are those of the CPU, bit for bit") {
  const int64_t c = GENERATE(1, 255, 257);
  const int64_t steps = GENERATE_COPY(int64_t(0), int64_t(1), c);
  CAPTURE(c, steps);
  const std::array<int64_t, 1> channels{c}, of_step{steps}, of_eps{steps == c ? c : 1};
  Both<float> step(numbers(steps, 1)), mean(numbers(c, 2)), var(numbers(c, 3));
  Both<float> in_mean(numbers(c, 4)), in_var(numbers(c, 5)), in_eps(numbers(of_eps[0], 6));
  Both<float> running_mean(numbers(c, 7)), running_var(numbers(c, 8));
  const auto absent = View1<float>{};
  kernels::launch<kernels::BatchNormInSteps<float>>(
      {steps ? step.on_host(of_step) : absent, mean.on_host(channels), var.on_host(channels), 1e-5,
       in_mean.on_host(channels), in_var.on_host(channels), in_eps.on_host(of_eps)});
  kernels::SIMT_NS::batch_norm_in_steps(
      {steps ? step.on_device(of_step) : absent, mean.on_device(channels), var.on_device(channels),
       1e-5, in_mean.on_device(channels), in_var.on_device(channels), in_eps.on_device(of_eps)},
      nullptr);
  CHECK(in_mean.got() == in_mean.host);
  CHECK(in_var.got() == in_var.host);
  CHECK(in_eps.got() == in_eps.host);
  kernels::launch<kernels::BatchNormRunning<float>>(
      {steps ? step.on_host(of_step) : absent, mean.on_host(channels), var.on_host(channels), 0.1,
       1.25, running_mean.on_host(channels), running_var.on_host(channels)});
  kernels::SIMT_NS::batch_norm_running(
      {steps ? step.on_device(of_step) : absent, mean.on_device(channels), var.on_device(channels),
       0.1, 1.25, running_mean.on_device(channels), running_var.on_device(channels)},
      nullptr);
  CHECK(running_mean.got() == running_mean.host);
  CHECK(running_var.got() == running_var.host);
}

}  // namespace apprentice
