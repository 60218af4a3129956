#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/fill.cuh>

namespace apprentice {
namespace {

/// Fills `count` of count + 2 elements, from the second on.
template <class Element>
void check_fill(int64_t count, uint64_t bits) {
  const std::array<int64_t, 1> sizes{count + 2};
  testing::Both<Element> y(std::vector<Element>(static_cast<size_t>(count) + 2, Element(7)));
  kernels::Fill::Args args{y.on_host(sizes).data + 1, int(sizeof(Element)), count, bits};
  kernels::launch<kernels::Fill>(args);
  args.y = y.on_device(sizes).data + 1;
  kernels::SIMT_NS::fill(args, nullptr);
  const auto got = y.got();
  for (int64_t i = 0; i < count + 2; ++i) {
    CAPTURE(count, i);
    REQUIRE(got[size_t(i)] == (i == 0 || i > count ? Element(7) : Element(bits)));
  }
  CHECK(got == y.host);
}

}  // namespace

KERNEL_TEST_CASE("a fill writes its elements, of any size, and none beside them") {
  const int64_t count = GENERATE(0, 1, 255, 256, 257, 5001);
  check_fill<uint8_t>(count, 0xA5);
  check_fill<uint16_t>(count, 0xBEEF);
  check_fill<uint32_t>(count, 0x3F800001);
  check_fill<uint64_t>(count, 0x3FF0000000000001);
}

}  // namespace apprentice
