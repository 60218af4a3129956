#include <apprentice/base/device.h>

#include <apprentice/base/error.h>

#include <catch2/catch.hpp>

using namespace apprentice;

TEST_CASE("a device and its text are one") {
  CHECK(Device::parse("cpu") == Device{});
  CHECK(Device::parse("cuda") == Device{Device::Kind::cuda, 0});
  CHECK(Device::parse("cuda:3") == Device{Device::Kind::cuda, 3});
  CHECK(Device{Device::Kind::cuda, 3}.str() == "cuda:3");
  CHECK(Device{}.str() == "cpu");
}

TEST_CASE("a text that is no device is refused by name") {
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cpu:0", "cudax"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(Device::parse(text), Catch::Contains("expected cpu, cuda or cuda:N") &&
                                               Catch::Contains(std::string("'") + text + "'"));
  }
}
