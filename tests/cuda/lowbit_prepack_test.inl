#include <simt/kernel_test.h>

#include <apprentice/kernels/cuda/lowbit_register_internal.h>
#include <apprentice/kernels/lowbit_gemm.h>

#include <kernels/lowbit_problem.h>
#include <support/fake_runtime.h>

namespace apprentice {
namespace {

namespace device_kernels = kernels::SIMT_NS;

/// Devices that kernels of this build lie on: a fake one where they are emulated.
struct Devices {
#if defined(SIMT_EMULATED)
  FakeDevices fake;
#else
  Devices() { kernels::load_tables(); }
#endif
  Device device{device_kernels::kWhere, 0};
};

template <int Bits>
void check_prepacked(int64_t rows, int64_t cols) {
  using Op = kernels::LowbitGemm<uint8_t, Bits>;
  Rng rng = test::problem_rng(uint64_t(rows));
  const test::RandomCodes<Bits> weight(rng, rows, cols);
  typename Op::Args args;
  args.weight = weight.packed;
  const Devices devices;
  const DeviceGuard guard(devices.device);
  const auto made = device_kernels::prepack_fragments<Op>(args);
  const auto expected = kernels::make_fragments(weight.packed);
  CHECK(made->bytes() == int64_t(4 * expected.size()));
  const auto& fragments = dynamic_cast<const kernels::LowbitFragments&>(*made);
  CHECK(fragments.layout.rows == rows);
  CHECK(fragments.layout.cols == cols);
  std::vector<uint32_t> words(expected.size());
  copy_bytes(words.data(), {}, fragments.words.get(), devices.device, 4 * words.size(),
             current_stream(devices.device));
  CHECK(words == expected);
}

}  // namespace

KERNEL_TEST_CASE("low-bit weights are prepacked on the current device") {
  check_prepacked<2>(33, 130);
  check_prepacked<2>(1, 17 * 128);  // 17 KiB, less than the memory that holds them
  check_prepacked<4>(1, 1);
}

KERNEL_TEST_CASE("low-bit weights are not prepacked where the kernels do not run") {
  kernels::LowbitGemm<int8_t, 2>::Args args;
  const std::string message =
      "ternary_gemm: weights are prepacked for the current device, cpu, "
      "expected one of ";
  CHECK_THROWS_WITH((device_kernels::prepack_fragments<kernels::LowbitGemm<int8_t, 2>>(args)),
                    message + std::string(name_of(device_kernels::kWhere)));
}

}  // namespace apprentice
