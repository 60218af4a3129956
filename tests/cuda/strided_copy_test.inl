#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/strided_copy.cuh>

namespace apprentice {
namespace {

/// A [2, 3, 5] part of x [2, 7, 5], from row 3 on, with its last two axes exchanged.
template <class Element>
void check_copy() {
  testing::Both<Element> x(testing::random_integers<Element>(70, 0, 99, 1));
  testing::Both<Element> y(std::vector<Element>(30));
  kernels::StridedCopy::Args args{
      x.host.data() + 15, y.host.data(), int(sizeof(Element)), 3, {2, 5, 3},
      {35, 1, 5},         {15, 3, 1}};
  kernels::launch<kernels::StridedCopy>(args);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 5; ++j)
      for (int k = 0; k < 3; ++k)
        CHECK(y.host[size_t(i * 15 + j * 3 + k)] == x.host[size_t(i * 35 + (k + 3) * 5 + j)]);
  args.x = x.on_device(std::array<int64_t, 1>{70}).data + 15;
  args.y = y.on_device(std::array<int64_t, 1>{30}).data;
  kernels::SIMT_NS::strided_copy(args, nullptr);
  CHECK(y.got() == y.host);
}

}  // namespace

KERNEL_TEST_CASE(
    "a strided copy takes part of a tensor and exchanges axes, in elements of any size") {
  check_copy<uint8_t>();
  check_copy<uint16_t>();
  check_copy<uint32_t>();
  check_copy<uint64_t>();
}

KERNEL_TEST_CASE("a strided copy of a scalar, of nothing and of more than a grid") {
  const int64_t n = GENERATE(0, 1, 257, 5000);
  testing::Both<float> x(testing::random_integers<float>(static_cast<size_t>(n) + 1, 0, 99, 1));
  testing::Both<float> y(std::vector<float>(static_cast<size_t>(n) + 1));
  const std::array<int64_t, 1> sizes{n + 1};
  kernels::StridedCopy::Args args{
      x.on_host(sizes).data, y.on_host(sizes).data, 4, n == 1 ? 0 : 1, {n}, {1}, {1}};
  kernels::launch<kernels::StridedCopy>(args);
  args.x = x.on_device(sizes).data;
  args.y = y.on_device(sizes).data;
  std::vector<float> before = y.got();
  kernels::SIMT_NS::strided_copy(args, nullptr);
  const auto got = y.got();
  for (int64_t i = 0; i < n; ++i) CHECK(got[size_t(i)] == x.host[size_t(i)]);
  CHECK(std::memcmp(&got.back(), &before.back(), sizeof(float)) == 0);
}

}  // namespace apprentice
