#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include <simt/faults.h>
#include <simt/kernel_test.h>

// Accesses outside of what a kernel was given. A Fault, a crash at a guard page and a report of
// ASan all count; which build sees what stands in docs/emulator.md.
namespace apprentice {

using Catch::Contains;
using simt::Buffer;
using testing::fault_of;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool under_asan = true;
#else
constexpr bool under_asan = false;
#endif

/// Does a process of its own that runs fn() end badly?
template <class Fn>
bool dies(Fn fn) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (!std::freopen("/dev/null", "w", stderr) || !std::freopen("/dev/null", "w", stdout))
      _exit(0);
    _exit(fault_of(fn).empty() ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace

SIMT_KERNEL misaligned_load(const float* x, float* y) {
  y[threadIdx.x] = simt::load_as<simt::F32x4>(x + 1 + 4 * threadIdx.x).x;
}

TEST_CASE("a 16-byte load from an address that is not a multiple of 16 is reported") {
  const Buffer<float> x(256), y(32);
  CHECK_THAT(
      fault_of([&] { simt::launch(misaligned_load, 1, 32, 0, nullptr, x.data(), y.data()); }),
      Contains("misaligned 16-byte access") && Contains("bounds_test.cpp:"));
}

SIMT_KERNEL misaligned_copy(const float* x) {
  SIMT_SHARED(simt::U32x4, s, 32);
  simt::cp_async(&s[threadIdx.x], x + 1);
}

TEST_CASE("a 16-byte cp.async from an address that is not a multiple of 16 is reported") {
  const Buffer<float> x(256);
  CHECK_THAT(fault_of([&] { simt::launch(misaligned_copy, 1, 32, 0, nullptr, x.data()); }),
             Contains("misaligned 16-byte access"));
}

SIMT_KERNEL copies_to_integers(const float* x) {
  SIMT_SHARED(int, s, 128);
  simt::cp_async(&s[4 * threadIdx.x], x + 4 * threadIdx.x);
}

TEST_CASE("shared memory of integers is not aligned for 16-byte copies") {
  const Buffer<float> x(128);
  CHECK_THAT(fault_of([&] { simt::launch(copies_to_integers, 1, 32, 0, nullptr, x.data()); }),
             Contains("misaligned 16-byte access"));
}

SIMT_KERNEL write_shared_at(int at) {
  int* s = simt::dynamic_shared<int>();
  s[int(threadIdx.x) + at] = 1;
}

TEST_CASE("a write one element past the end or before the start of shared memory is noticed") {
  CHECK_FALSE(dies([] { simt::launch(write_shared_at, 1, 32, 32 * 4, nullptr, 0); }));
  CHECK(dies([] { simt::launch(write_shared_at, 1, 32, 32 * 4, nullptr, 1); }));
  CHECK(dies([] { simt::launch(write_shared_at, 1, 32, 32 * 4, nullptr, -1); }));
}

SIMT_KERNEL read_shared_at(int at, int* y) {
  int* s = simt::dynamic_shared<int>();
  s[threadIdx.x] = 1;
  simt::sync_warp();
  y[threadIdx.x] = s[int(threadIdx.x) + at];
}

TEST_CASE("a read past the end of shared memory is noticed by ASan and by the checker") {
  const auto past_end = [] {
    const Buffer<int> y(32);
    simt::launch(read_shared_at, 1, 32, 32 * 4, nullptr, 1, y.data());
  };
  CHECK(dies(past_end) == (under_asan || simt::emu::checker_linked()));
}

SIMT_KERNEL write_at(char* p, int at) {
  if (threadIdx.x == 0) p[at] = 1;
}

TEST_CASE("a write past the end of a device buffer is noticed, near and far") {
  for (int at : {1000, 1100, 5000}) {
    CAPTURE(at);
    CHECK(dies([&] {
      const Buffer<char> p(1000);
      simt::launch(write_at, 1, 32, 0, nullptr, p.data(), at);
    }));
  }
  const Buffer<char> p(1000);
  CHECK(fault_of([&] { simt::launch(write_at, 1, 32, 0, nullptr, p.data(), 999); }) == "");
}

SIMT_KERNEL needs_shared(int) { simt::dynamic_shared<int>()[threadIdx.x] = 0; }

TEST_CASE("a kernel that uses dynamic shared memory and was given none is reported") {
  CHECK_THAT(fault_of([] { simt::launch(needs_shared, 1, 32, 0, nullptr, 0); }),
             Contains("the launch gave it none"));
}

SIMT_KERNEL matrix_outside(int) {
  simt::U32x4* s = simt::dynamic_shared<simt::U32x4>();
  if (threadIdx.x < 16) s[threadIdx.x] = {};
  simt::sync_warp();
  uint32_t r[4];
  simt::ldmatrix_x4(r, s + threadIdx.x);
}

TEST_CASE("a row of ldmatrix outside of shared memory is reported") {
  CHECK_THAT(fault_of([] { simt::launch(matrix_outside, 1, 32, 16 * 16, nullptr, 0); }),
             Contains("ldmatrix") && Contains("dynamic part: 256 bytes"));
}

}  // namespace apprentice
