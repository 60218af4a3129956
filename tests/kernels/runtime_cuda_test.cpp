#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/kernel_table.h>

using namespace apprentice;
using Catch::Contains;

TEST_CASE("a GPU that is not there is refused with the reason") {
  kernels::load_tables();
  const Device absent{Device::Kind::cuda, device_count(Device::Kind::cuda)};
  CHECK_THROWS_AS(require_device(absent), DeviceError);
  if (absent.index == 0)
    CHECK_THROWS_WITH(DeviceGuard(absent),
                      Contains("no CUDA device") || Contains("this build has no cuda backend"));
  else
    CHECK_THROWS_WITH(DeviceGuard(absent), Contains("this machine has cuda:0"));
  CHECK(current_device() == Device{});
}
