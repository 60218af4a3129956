#include <simt/kernel_test.h>

namespace apprentice::kernels::SIMT_NS {

SIMT_KERNEL reverse_by_barrier(const int* x, int* y) {
  SIMT_SHARED(int, s, 96);
  const unsigned t = simt::linear_thread();
  s[t] = x[t];
  simt::sync_block();
  y[t] = s[95 - t];
  // How many threads hold an odd number, as all of them are told.
  y[96 + t] = simt::sync_block_count(x[t] & 1);
}

/// Two warps produce, two consume; each pair meets at barriers of its own: 1 full, 2 empty.
SIMT_KERNEL hand_over(const int* x, int* y, int rounds) {
  SIMT_SHARED(int, slot, 64);
  const unsigned t = threadIdx.x % 64;
  const bool producer = threadIdx.x < 64;
  for (int r = 0; r < rounds; ++r) {
    if (producer) {
      if (r > 0) simt::sync_named(2, 128);
      slot[t] = x[r * 64 + int(t)];
      simt::arrive_named(1, 128);
    } else {
      simt::sync_named(1, 128);
      y[r * 64 + int(t)] = slot[63 - t];
      if (r + 1 < rounds) simt::arrive_named(2, 128);
    }
  }
}

SIMT_KERNEL grid_indices(int* y) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  y[block * threads + simt::linear_thread()] =
      int(blockIdx.z * 1000000 + blockIdx.y * 100000 + blockIdx.x * 10000 + threadIdx.z * 1000 +
          threadIdx.y * 100 + threadIdx.x);
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

KERNEL_TEST_CASE("a block barrier shows every thread what the others wrote, and counts") {
  const auto x = testing::random_integers<int>(96, -99, 99, 1);
  const auto dx = simt::Buffer<int>::from(x);
  const simt::Buffer<int> dy(192);
  simt::launch(kernels::SIMT_NS::reverse_by_barrier, 1, simt::Grid(8, 6, 2), 0, nullptr, dx.data(),
               dy.data());
  const auto y = dy.values();
  int odd = 0;
  for (int v : x) odd += v & 1;
  for (int t = 0; t < 96; ++t) {
    CHECK(y[t] == x[95 - t]);
    CHECK(y[96 + t] == odd);
  }
}

KERNEL_TEST_CASE("named barriers hand a buffer from producers to consumers and back") {
  constexpr int rounds = 5;
  const auto x = testing::random_integers<int>(64 * rounds, -99, 99, 2);
  const auto dx = simt::Buffer<int>::from(x);
  const simt::Buffer<int> dy(64 * rounds);
  simt::launch(kernels::SIMT_NS::hand_over, 1, 128, 0, nullptr, dx.data(), dy.data(), rounds);
  const auto y = dy.values();
  for (int i = 0; i < 64 * rounds; ++i) CHECK(y[i] == x[i / 64 * 64 + 63 - i % 64]);
}

KERNEL_TEST_CASE("each thread of each block knows where it is") {
  const simt::Buffer<int> dy(2 * 3 * 2 * 24);
  simt::launch(kernels::SIMT_NS::grid_indices, simt::Grid(2, 3, 2), simt::Grid(4, 3, 2), 0, nullptr,
               dy.data());
  const auto y = dy.values();
  size_t i = 0;
  for (int bz = 0; bz < 2; ++bz)
    for (int by = 0; by < 3; ++by)
      for (int bx = 0; bx < 2; ++bx)
        for (int z = 0; z < 2; ++z)
          for (int ty = 0; ty < 3; ++ty)
            for (int x = 0; x < 4; ++x)
              CHECK(y[i++] == bz * 1000000 + by * 100000 + bx * 10000 + z * 1000 + ty * 100 + x);
}

}  // namespace apprentice
