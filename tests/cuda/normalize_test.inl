#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/normalize.cuh>

namespace apprentice {

KERNEL_TEST_CASE("normalised, shifted and mirrored images are those of the CPU, bit for bit") {
  using testing::Both;
  struct Sizes {
    int64_t n, h, w, c;
  };
  const auto [n, h, w, c] = GENERATE(Sizes{1, 1, 1, 1}, Sizes{3, 5, 7, 3}, Sizes{2, 8, 8, 3});
  const bool moved = GENERATE(false, true);
  CAPTURE(n, h, w, c, moved);
  const std::array<int64_t, 4> sizes{n, h, w, c};
  const auto count = static_cast<size_t>(n * h * w * c);
  Both<uint8_t> x(testing::random_bytes<uint8_t>(count, 1));
  Both<float> y{std::vector<float>(count)}, mean({0.4f, 0.5f, 0.6f}), std({0.2f, 0.3f, 0.25f});
  Both<int32_t> shift(testing::random_integers<int32_t>(static_cast<size_t>(2 * n), -4, 4, 2));
  Both<uint8_t> mirror(testing::random_integers<uint8_t>(static_cast<size_t>(n), 0, 1, 3));
  const std::array<int64_t, 1> channels{c}, images{n};
  const std::array<int64_t, 2> shifts{n, 2};
  kernels::NormalizeImages::Args host{
      x.on_host(sizes), y.on_host(sizes), mean.on_host(channels), std.on_host(channels), {}, {}};
  kernels::NormalizeImages::Args device{x.on_device(sizes),
                                        y.on_device(sizes),
                                        mean.on_device(channels),
                                        std.on_device(channels),
                                        {},
                                        {}};
  if (moved) {
    host.shift = shift.on_host(shifts);
    host.mirror = mirror.on_host(images);
    device.shift = shift.on_device(shifts);
    device.mirror = mirror.on_device(images);
  }
  kernels::launch<kernels::NormalizeImages>(host);
  kernels::SIMT_NS::normalize_images(device, nullptr);
  CHECK(y.got() == y.host);
}

}  // namespace apprentice
