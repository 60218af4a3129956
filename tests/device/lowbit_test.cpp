#include <catch2/catch.hpp>

#include <apprentice/base/buffer.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/kernels/lowbit_gemm.h>

#include <kernels/lowbit_problem.h>

#include <device/test_device.h>

namespace apprentice {
namespace {

/// A copy of an array in the device's memory.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values)
      : size_(values.size()), memory_(size_ * sizeof(T), test_device()) {
    copy_bytes(memory_.data(), test_device(), values.data(), {}, size_ * sizeof(T),
               {test_device()});
  }
  T* data() const { return static_cast<T*>(memory_.data()); }
  std::vector<T> values() const {
    std::vector<T> all(size_);
    copy_bytes(all.data(), {}, data(), test_device(), size_ * sizeof(T), {test_device()});
    return all;
  }

 private:
  size_t size_;
  Buffer memory_;  // may be larger
};

/// What the table's kernel for the device makes of it equals what its reference makes of it on the
/// host, with weights prepacked and without. `sizes` are those of the sums.
template <class Op, class X, size_t R>
void check_device(typename Op::Args args, const std::vector<X>& x,
                  const std::array<int64_t, R>& sizes) {
  const auto& table = kernels::kernel_table<Op>();
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  std::vector<int32_t> expected(size_t(count), -7);
  args.x.data = x.data();
  args.acc = {expected.data(), sizes};
  table.kernels().back().run(args, {});

  const DeviceGuard guard(test_device());
  const OnDevice<X> on_device(x);
  args.x.data = on_device.data();
  const auto& kernel = table.select(args, {}, test_device().kind);
  CHECK(kernel.family == "cuda");
  const auto prepacked = kernel.prepack(args);
  for (const kernels::Prepacked* weights :
       {prepacked.get(), static_cast<const kernels::Prepacked*>(nullptr)}) {
    const OnDevice<int32_t> acc(std::vector<int32_t>(size_t(count), -9));
    args.acc.data = acc.data();
    args.prepacked = weights;
    kernel.run(args, {test_device()});
    CHECK(bool(acc.values() == expected));
  }
}

template <class X, int Bits>
void check_gemm() {
  using Op = kernels::LowbitGemm<X, Bits>;
  Rng rng = test::problem_rng(Bits);
  const std::vector<uint8_t> bytes = test::random_bytes(rng, 5 * 70);
  const test::RandomCodes<Bits> weight(rng, 9, 70);
  typename Op::Args args;
  args.x.sizes = {5, 70};
  args.weight = weight.packed;
  INFO(Op::types);
  check_device<Op>(args, std::vector<X>(bytes.begin(), bytes.end()), std::array<int64_t, 2>{5, 9});
}

template <int Bits>
void check_conv2d() {
  using Op = kernels::LowbitConv2d<Bits>;
  Rng rng = test::problem_rng(Bits);
  const test::RandomCodes<Bits> weight(rng, 9, 3 * 3 * 4);
  typename Op::Args args;
  args.x.sizes = {2, 5, 6, 4};
  args.weight = weight.packed;
  args.kernel_size = {3, 3};
  args.geometry.padding = {1, 1};
  INFO(Op::types);
  check_device<Op>(args, test::random_bytes(rng, 2 * 5 * 6 * 4),
                   std::array<int64_t, 4>{2, 5, 6, 9});
}

}  // namespace

TEST_CASE("low-bit products of a device come from its own kernels and are the CPU's") {
  check_gemm<uint8_t, 2>();
  check_gemm<int8_t, 2>();
  check_gemm<uint8_t, 4>();
  check_gemm<int8_t, 4>();
  check_conv2d<2>();
  check_conv2d<4>();
}

}  // namespace apprentice
