#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/scatter_axis.cuh>

namespace apprentice {

KERNEL_TEST_CASE("scattering along an axis is that of the CPU") {
  using testing::Both;
  struct Sizes {
    int64_t outer, axis, inner;
  };
  const auto [outer, axis, inner] =
      GENERATE(Sizes{1, 1, 1}, Sizes{3, 5, 2}, Sizes{1, 257, 1}, Sizes{2, 3, 129}, Sizes{0, 3, 2});
  CAPTURE(outer, axis, inner);
  const auto rows = static_cast<size_t>(outer * inner);
  Both<float> y(testing::random_integers<float>(rows, 1, 99, 1));
  Both<int64_t> at(testing::random_integers<int64_t>(rows, 0, int(axis) - 1, 2));
  Both<float> x(std::vector<float>(rows * static_cast<size_t>(axis), 7.0f));
  const std::array<int64_t, 2> of_y{outer, inner};
  const std::array<int64_t, 3> of_x{outer, axis, inner};
  kernels::launch<kernels::ScatterAxis<float>>(
      {y.on_host(of_y), at.on_host(of_y), x.on_host(of_x)});
  kernels::SIMT_NS::scatter_axis({y.on_device(of_y), at.on_device(of_y), x.on_device(of_x)},
                                 nullptr);
  CHECK(x.got() == x.host);
}

}  // namespace apprentice
