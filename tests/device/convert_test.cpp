#include <catch2/catch.hpp>

#include <apprentice/base/rng.h>
#include <apprentice/core/tensor.h>
#include <device/test_device.h>

using namespace apprentice;

namespace {

Tensor random_numbers(const Shape& shape) {
  Rng rng(5, RngPurpose::test);
  return Tensor::normal(shape, 0, 100, rng);
}

}  // namespace

TEST_CASE("a tensor is converted to bf16 and back alike on the host and on a device") {
  const Tensor x = random_numbers({7, 33}), narrow = x.to(Dtype::bf16);
  CHECK(narrow.dtype() == Dtype::bf16);
  const Tensor on_device = x.to(test_device()).to(Dtype::bf16);
  CHECK(on_device.device() == test_device());
  CHECK(on_device.to_vector<float>() == narrow.to_vector<float>());
  CHECK(on_device.to(Dtype::f32).to_vector<float>() == narrow.to_vector<float>());
  CHECK(narrow.to(test_device()).to_vector<double>() == narrow.to_vector<double>());
  CHECK(narrow.to_vector<float>() != x.to_vector<float>());
}

TEST_CASE("conversions between f32 and bf16 keep the host out", "[emulated]") {
  const Tensor x = random_numbers({5, 6}).to(test_device());
  const int64_t waits = emulated_waits();
  Tensor wide = x.to(Dtype::bf16).to(Dtype::f32);
  wide.copy_from(wide.to(Dtype::bf16));
  CHECK(emulated_waits() == waits);
}

TEST_CASE("a bf16 tensor on a device is filled, copied and cut as any other") {
  DeviceGuard guard(test_device());
  Tensor x = Tensor::zeros({4, 3}, Dtype::bf16);
  CHECK(x.to_vector<float>() == std::vector<float>(12, 0.0f));
  x.slice(1, 3).fill(1.0 + 0x1p-8);  // a tie
  const std::vector<float> expected{0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0};
  CHECK(x.to_vector<float>() == expected);
  CHECK(x.clone().to_vector<float>() == expected);
  CHECK(Tensor::from(x.to_vector<Bf16>(), {4, 3}).to_vector<float>() == expected);
  x.copy_from(Tensor::full({4, 3}, 3.0).to(Device{}));
  CHECK(x.to_vector<float>() == std::vector<float>(12, 3.0f));
}
