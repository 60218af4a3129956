#include <apprentice/kernels/simt/emulator.h>

#include <simt/faults.h>
#include <simt/kernel_test.h>

// Kernels that are wrong in how their threads meet: every build of the emulator reports them.
namespace apprentice {

using Catch::Contains;
using simt::Buffer;
using testing::fault_of;

SIMT_KERNEL divergent_barrier(int) {
  if (threadIdx.x < 16) {
    simt::sync_block();
  } else {
    simt::sync_block();
  }
}

TEST_CASE("a barrier in both branches of a divergent warp is reported") {
  CHECK_THAT(fault_of([] { simt::launch(divergent_barrier, 1, 64, 0, nullptr, 0); }),
             Contains("divergent barrier") && Contains("control_flow_test.cpp:"));
}

SIMT_KERNEL missing_arrival(int) {
  if (threadIdx.x < 32) simt::sync_named(1, 64);
}

TEST_CASE("a named barrier that half of its threads never reach is a deadlock, not a hang") {
  CHECK_THAT(fault_of([] { simt::launch(missing_arrival, 1, 64, 0, nullptr, 0); }),
             Contains("deadlock") && Contains("32 thread(s)") && Contains("sync_named"));
}

SIMT_KERNEL half_returns(int* y) {
  if (threadIdx.x >= 16) return;
  y[threadIdx.x] = simt::shfl_xor(int(threadIdx.x), 1);
}

TEST_CASE("a collective of the whole warp after half of it returned is reported") {
  const Buffer<int> y(32);
  CHECK_THAT(fault_of([&] { simt::launch(half_returns, 1, 32, 0, nullptr, y.data()); }),
             Contains("shuffle"));
}

SIMT_KERNEL reads_outside_mask(int* y) {
  if (threadIdx.x < 8) y[threadIdx.x] = simt::shfl(int(threadIdx.x), 9, 32, 0xffu);
}

TEST_CASE("a shuffle from a lane outside its mask is reported") {
  const Buffer<int> y(32);
  CHECK_THAT(fault_of([&] { simt::launch(reads_outside_mask, 1, 32, 0, nullptr, y.data()); }),
             Contains("not in mask 000000ff"));
}

SIMT_KERNEL mma_in_branch(int* y) {
  int d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  if (threadIdx.x != 7) simt::mma_m16n8k32(d, a, b);
  y[threadIdx.x] = d[0];
}

TEST_CASE("an mma that a lane does not take part in is reported") {
  const Buffer<int> y(32);
  CHECK_THAT(fault_of([&] { simt::launch(mma_in_branch, 1, 32, 0, nullptr, y.data()); }),
             Contains("mma_m16n8k32"));
}

SIMT_KERNEL returns_early(int* y) {
  SIMT_SHARED(int, s, 64);
  s[threadIdx.x] = int(threadIdx.x);
  if (threadIdx.x >= 32) return;
  simt::sync_block();
  y[threadIdx.x] = s[threadIdx.x];
}

TEST_CASE("threads that returned are not waited for at a barrier") {
  const Buffer<int> y(32);
  CHECK(fault_of([&] { simt::launch(returns_early, 1, 64, 0, nullptr, y.data()); }) == "");
}

TEST_CASE("a launch with too many threads or too much shared memory is refused") {
  CHECK_THAT(fault_of([] { simt::launch(divergent_barrier, 1, 1025, 0, nullptr, 0); }),
             Contains("1025") && Contains("1024"));
  CHECK_THAT(fault_of([] { simt::launch(divergent_barrier, 1, 32, 1 << 20, nullptr, 0); }),
             Contains("shared memory"));
}

}  // namespace apprentice
