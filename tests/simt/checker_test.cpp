#include <simt/faults.h>
#include <simt/kernel_test.h>
#include <simt/pipelined_gemm.cuh>

// What only the access checker sees, whatever order the threads ran in. The other builds skip
// these.
namespace apprentice {

using Catch::Contains;
using simt::Buffer;
using testing::fault_of;

template <bool Safe>
SIMT_KERNEL neighbours(int* y) {
  SIMT_SHARED(int, s, 64);
  s[threadIdx.x] = int(threadIdx.x);
  if (Safe) simt::sync_block();
  y[threadIdx.x] = s[threadIdx.x ^ 32];
}

TEST_CASE("a read that no barrier orders after the write of another thread is a race") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> y(64);
  CHECK(fault_of([&] { simt::launch(neighbours<true>, 1, 64, 0, nullptr, y.data()); }) == "");
  // Whichever comes first is reported: the read of what nobody has written yet, or the race.
  CHECK_THAT(fault_of([&] { simt::launch(neighbours<false>, 1, 64, 0, nullptr, y.data()); }),
             Contains("uninitialised") && Contains("checker_test.cpp:"));
}

constexpr int shuffle_line = __LINE__;
SIMT_KERNEL shuffle_is_no_fence(int* y) {
  SIMT_SHARED(int, s, 32);
  s[threadIdx.x] = int(threadIdx.x);
  const int other = simt::shfl_xor(int(threadIdx.x), 1);
  y[threadIdx.x] = s[other];
}

TEST_CASE("a shuffle does not order shared memory, and the report names both places") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> y(32);
  CHECK_THAT(fault_of([&] { simt::launch(shuffle_is_no_fence, 1, 32, 0, nullptr, y.data()); }),
             Contains("data race") && Contains("read after an unsynchronised write") &&
                 Contains(fmt::format("checker_test.cpp:{} against checker_test.cpp:{}",
                                      shuffle_line + 5, shuffle_line + 3)));
}

SIMT_KERNEL two_writers(int) {
  SIMT_SHARED(int, s, 1);
  s[0] = int(threadIdx.x);
}

TEST_CASE("two threads that write one place are a race") {
  if (!simt::emu::checker_linked()) return;
  CHECK_THAT(fault_of([] { simt::launch(two_writers, 1, 32, 0, nullptr, 0); }),
             Contains("two unsynchronised writes"));
}

template <bool Safe>
SIMT_KERNEL write_after_reads(int* y) {
  SIMT_SHARED(int, s, 1);
  if (threadIdx.x == 0) s[0] = 5;
  simt::sync_block();
  y[threadIdx.x] = s[0];
  if (Safe) simt::sync_warp();
  if (threadIdx.x == 31) s[0] = 6;
}

TEST_CASE("a write that is not ordered after the reads of all others is a race") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> y(32);
  CHECK(fault_of([&] { simt::launch(write_after_reads<true>, 1, 32, 0, nullptr, y.data()); }) ==
        "");
  // The last to arrive goes on first: here thread 0, so that the writer comes last.
  const simt::emu::WithSettings reverse(simt::emu::Order::reverse, simt::emu::Arrival::lazy);
  CHECK_THAT(fault_of([&] { simt::launch(write_after_reads<false>, 1, 32, 0, nullptr, y.data()); }),
             Contains("write after an unsynchronised read"));
}

SIMT_KERNEL atomics_do_not_race(int* y) {
  SIMT_SHARED(int, s, 1);
  if (threadIdx.x == 0) s[0] = 0;
  simt::sync_block();
  simt::atomic_add(&s[0], 1);
  simt::sync_block();
  y[threadIdx.x] = s[0];
}

TEST_CASE("atomics on one place are no race") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> y(32);
  CHECK(fault_of([&] { simt::launch(atomics_do_not_race, 1, 32, 0, nullptr, y.data()); }) == "");
}

SIMT_KERNEL reads_past(const int* x, int* y, int at) { y[threadIdx.x] = x[int(threadIdx.x) + at]; }

TEST_CASE("a read before or past a device buffer is reported with its place") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> x(32), y(32);
  for (int at : {-1, 1})
    CHECK_THAT(
        fault_of([&] { simt::launch(reads_past, 1, 32, 0, nullptr, x.data(), y.data(), at); }),
        Contains("device buffer") && Contains("checker_test.cpp:"));
}

SIMT_KERNEL blocks_write(int* y, int stride) { y[blockIdx.x * unsigned(stride) + threadIdx.x] = 1; }

TEST_CASE("two blocks that write the same byte are reported") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> y(64);
  CHECK(fault_of([&] { simt::launch(blocks_write, 2, 32, 0, nullptr, y.data(), 32); }) == "");
  CHECK_THAT(fault_of([&] { simt::launch(blocks_write, 2, 32, 0, nullptr, y.data(), 31); }),
             Contains("two blocks write byte 124"));
}

/// What is missing of a kernel that feeds wgmma.
enum class Missing { nothing, fence, barrier };

/// All threads write an operand; then a spare warp overwrites it.
template <Missing missing>
SIMT_KERNEL feeds_tensor_cores(int* y) {
  unsigned char* s = simt::dynamic_shared<unsigned char, 1024>();
  for (int i = int(threadIdx.x); i < 64 * 32 / 16; i += 160)
    simt::store_as(s + 16 * i, simt::U32x4{1, 2, 3, 4});
  if (missing != Missing::fence) simt::fence_async_proxy();
  simt::sync_block();
  if (threadIdx.x < 128) {
    int d[4];
    const uint64_t tile = simt::wgmma_descriptor(s, 16, 256, simt::Swizzle::b32);
    simt::wgmma_fence();
    simt::wgmma_m64k32<8>(d, tile, tile, false);
    simt::wgmma_commit();
    simt::wgmma_wait<0>();
    y[threadIdx.x] = d[0];
  }
  if (missing != Missing::barrier) simt::sync_block();
  if (threadIdx.x >= 128) s[threadIdx.x] = 7;
}

TEST_CASE("what wgmma reads must be fenced when written, and waited for before it is overwritten") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> y(128);
  const auto run = [&](auto kernel) {
    return fault_of([&] { simt::launch(kernel, 1, 160, 2048, nullptr, y.data()); });
  };
  CHECK(run(feeds_tensor_cores<Missing::nothing>) == "");
  CHECK_THAT(run(feeds_tensor_cores<Missing::fence>),
             Contains("without a fence_async_proxy after it"));
  CHECK_THAT(run(feeds_tensor_cores<Missing::barrier>), Contains("data race"));
}

template <bool Fence>
SIMT_KERNEL counts_bytes(const int* x) {
  SIMT_SHARED(simt::U32x4, s, 16);
  SIMT_SHARED(uint64_t, barrier, 1);
  if (threadIdx.x > 0) return;
  simt::mbarrier_init(barrier, 1);
  if (Fence) simt::mbarrier_fence_init();
  simt::mbarrier_arrive_expect(barrier, 256);
  simt::bulk_copy(s, x, 256, barrier);
  simt::mbarrier_wait(barrier, 0);
}

TEST_CASE("the copy engine must not meet an mbarrier whose initialisation is not fenced") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<int> x(64);
  CHECK(fault_of([&] { simt::launch(counts_bytes<true>, 1, 32, 0, nullptr, x.data()); }) == "");
  CHECK_THAT(fault_of([&] { simt::launch(counts_bytes<false>, 1, 32, 0, nullptr, x.data()); }),
             Contains("without mbarrier_fence_init after it"));
}

namespace {

template <bool Swizzled>
simt::emu::Statistics gemm_statistics() {
  const auto x = testing::random_integers<int8_t>(64 * 128, -9, 9, 3);
  const auto w = testing::random_integers<int8_t>(64 * 128, -1, 1, 4);
  const auto dx = Buffer<int8_t>::from(x);
  const auto dw = Buffer<uint32_t>::from(kernels::pack_ternary_words(w, 64, 128));
  const Buffer<int> dy(64 * 64);
  kernels::emu::launch_pipelined_gemm<Swizzled>(dx.data(), dw.data(), dy.data(), 64, 64, 128);
  return simt::emu::last_statistics();
}

}  // namespace

TEST_CASE("the checker counts bank conflicts: swizzled chunks have none, plain ones do") {
  if (!simt::emu::checker_linked()) return;
  const auto swizzled = gemm_statistics<true>(), plain = gemm_statistics<false>();
  CHECK(swizzled.shared_wavefronts == swizzled.shared_ideal);
  CHECK(plain.shared_ideal == swizzled.shared_ideal);
  CHECK(plain.shared_wavefronts > 2 * swizzled.shared_wavefronts);
}

SIMT_KERNEL strided_read(const float* x, float* y, int stride) {
  y[threadIdx.x] = x[int(threadIdx.x) * stride];
}

TEST_CASE("the checker counts sectors: a stride of 8 floats takes one for each lane") {
  if (!simt::emu::checker_linked()) return;
  const Buffer<float> x(32 * 8), y(32);
  simt::launch(strided_read, 1, 32, 0, nullptr, x.data(), y.data(), 1);
  CHECK(simt::emu::last_statistics().global_sectors == 4 + 4);
  simt::launch(strided_read, 1, 32, 0, nullptr, x.data(), y.data(), 8);
  CHECK(simt::emu::last_statistics().global_sectors == 32 + 4);
  CHECK(simt::emu::last_statistics().global_ideal == 4 + 4);
}

}  // namespace apprentice
