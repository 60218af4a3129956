#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/optimizer.cuh>

namespace apprentice {
namespace {

using testing::Both;

std::vector<float> random_values(int64_t n, unsigned seed) {
  auto v = testing::random_integers<float>(static_cast<size_t>(n), -999, 999, seed);
  for (float& x : v) x /= 700;
  return v;
}

}  // namespace

KERNEL_TEST_CASE("two steps of SGD are those of the CPU, bit for bit") {
  const int64_t n = GENERATE(1, 255, 257, 3001);
  const bool momentum = GENERATE(false, true), nesterov = momentum && n % 2;
  CAPTURE(n, momentum, nesterov);
  const std::array<int64_t, 1> sizes{n};
  Both<float> param(random_values(n, 1)), grad(random_values(n, 2)), velocity(random_values(n, 3));
  for (int step = 0; step < 2; ++step) {
    kernels::SgdUpdate<float>::Args args{param.on_host(sizes),
                                         grad.on_host(sizes),
                                         {},
                                         0.1f,
                                         momentum ? 0.9f : 0.0f,
                                         1e-3f,
                                         nesterov};
    if (momentum) args.velocity = velocity.on_host(sizes);
    kernels::launch<kernels::SgdUpdate<float>>(args);
    args.param = param.on_device(sizes);
    args.grad = grad.on_device(sizes);
    if (momentum) args.velocity = velocity.on_device(sizes);
    kernels::SIMT_NS::sgd_update(args, nullptr);
  }
  CHECK(param.got() == param.host);
  CHECK(velocity.got() == velocity.host);
}

KERNEL_TEST_CASE("two steps of Adam are those of the CPU") {
  const int64_t n = GENERATE(1, 255, 257, 3001);
  const bool decoupled = GENERATE(false, true);
  CAPTURE(n, decoupled);
  const std::array<int64_t, 1> sizes{n};
  Both<float> param(random_values(n, 1)), grad(random_values(n, 2));
  Both<float> first(std::vector<float>(static_cast<size_t>(n))), second(first.host);
  for (int64_t step = 1; step <= 2; ++step) {
    kernels::AdamUpdate<float>::Args args;
    args.learning_rate = 0.01;
    args.weight_decay = 0.1;
    args.decoupled = decoupled;
    args.step = step;
    args.param = param.on_host(sizes);
    args.grad = grad.on_host(sizes);
    args.first = first.on_host(sizes);
    args.second = second.on_host(sizes);
    kernels::kernel_table<kernels::AdamUpdate<float>>().select(args).run(args, {});
    args.param = param.on_device(sizes);
    args.grad = grad.on_device(sizes);
    args.first = first.on_device(sizes);
    args.second = second.on_device(sizes);
    kernels::SIMT_NS::adam_update(args, nullptr);
  }
  // Both round each operation to f32 in the same order.
  CHECK(first.got() == first.host);
  CHECK(second.got() == second.host);
  CHECK(param.got() == param.host);
}

}  // namespace apprentice
