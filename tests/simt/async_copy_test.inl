#include <cstring>

#include <simt/kernel_test.h>

namespace apprentice::kernels::SIMT_NS {

/// One copy of Bytes a thread, `source_bytes` of them from x.
template <int Bytes>
SIMT_KERNEL copy_parts(const unsigned char* x, unsigned char* y, int source_bytes) {
  SIMT_SHARED(simt::U32x4, shared, 32 * Bytes / 16);
  unsigned char* s = reinterpret_cast<unsigned char*>(shared) + threadIdx.x * Bytes;
  simt::cp_async<Bytes>(s, x + threadIdx.x * Bytes, source_bytes);
  simt::cp_async_commit();
  simt::cp_async_wait<0>();
  for (int i = 0; i < Bytes; ++i) y[int(threadIdx.x) * Bytes + i] = s[i];
}

/// Three stages in flight, each read after its own group alone has been waited for.
SIMT_KERNEL copy_ring(const int* x, int* y, int steps) {
  constexpr int stages = 3, width = 256;
  SIMT_SHARED(simt::U32x4, shared, stages * width / 4);
  int* s = reinterpret_cast<int*>(shared);
  const auto load = [&](int step) {
    if (step < steps)
      simt::cp_async(s + step % stages * width + 4 * int(threadIdx.x),
                     x + step * width + 4 * int(threadIdx.x));
    simt::cp_async_commit();
  };
  load(0);
  load(1);
  int sum = 0;
  for (int step = 0; step < steps; ++step) {
    load(step + 2);
    simt::cp_async_wait<2>();
    simt::sync_block();
    for (int i = 0; i < 4; ++i)
      sum += (i + 1) * s[step % stages * width + (int(threadIdx.x) * 4 + 77 * (i + 1)) % width];
    simt::sync_block();
  }
  y[threadIdx.x] = sum;
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

namespace {

template <int Bytes>
void check_parts() {
  const auto x = testing::random_integers<unsigned char>(32 * Bytes, 1, 255, Bytes);
  const auto dx = simt::Buffer<unsigned char>::from(x);
  for (int source_bytes : {0, 1, Bytes - 1, Bytes}) {
    const simt::Buffer<unsigned char> dy(32 * Bytes);
    simt::launch(kernels::SIMT_NS::copy_parts<Bytes>, 1, 32, 0, nullptr, dx.data(), dy.data(),
                 source_bytes);
    const auto y = dy.values();
    for (int i = 0; i < 32 * Bytes; ++i) {
      CAPTURE(Bytes, source_bytes, i);
      CHECK(y[i] == (i % Bytes < source_bytes ? x[i] : 0));
    }
  }
}

}  // namespace

KERNEL_TEST_CASE("cp.async of 4, 8 and 16 bytes fills what it does not copy with zeros") {
  check_parts<4>();
  check_parts<8>();
  check_parts<16>();
}

KERNEL_TEST_CASE("groups of cp.async arrive in the order in which they are waited for") {
  for (int steps : {1, 2, 3, 7}) {
    const auto x = testing::random_integers<int>(size_t(256 * steps), 0, 1000, unsigned(steps));
    const auto dx = simt::Buffer<int>::from(x);
    const simt::Buffer<int> dy(64);
    simt::launch(kernels::SIMT_NS::copy_ring, 1, 64, 0, nullptr, dx.data(), dy.data(), steps);
    const auto y = dy.values();
    for (int t = 0; t < 64; ++t) {
      int expected = 0;
      for (int step = 0; step < steps; ++step)
        for (int i = 0; i < 4; ++i)
          expected += (i + 1) * x[step * 256 + (t * 4 + 77 * (i + 1)) % 256];
      CAPTURE(steps, t);
      CHECK(y[t] == expected);
    }
  }
}

}  // namespace apprentice
