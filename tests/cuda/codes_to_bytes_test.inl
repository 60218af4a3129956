#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/codes_to_bytes.cuh>

namespace apprentice {

KERNEL_TEST_CASE("codes become bytes of the same values") {
  using testing::Both;
  const int n = GENERATE(1, 255, 257, 600);
  CAPTURE(n);
  const std::array<int64_t, 1> all{n};
  auto codes = testing::random_integers<float>(size_t(n), 0, 255, 1);
  codes[0] = 255;
  Both<float> x(codes);
  Both<uint8_t> y(std::vector<uint8_t>(size_t(n), 7));
  kernels::launch<kernels::CodesToBytes>({x.on_host(all), y.on_host(all)});
  CHECK(std::vector<float>(y.host.begin(), y.host.end()) == codes);
  kernels::SIMT_NS::codes_to_bytes({x.on_device(all), y.on_device(all)}, nullptr);
  CHECK(y.got() == y.host);
}

}  // namespace apprentice
