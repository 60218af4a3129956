#include <simt/kernel_test.h>

namespace apprentice::kernels::SIMT_NS {

/// One thread copies tiles of `bytes` into a ring of two, all others sum them.
SIMT_KERNEL bulk_ring(const uint32_t* x, uint32_t* y, int tiles, uint32_t bytes) {
  uint32_t* ring = simt::dynamic_shared<uint32_t>();
  SIMT_SHARED(uint64_t, full, 2);
  SIMT_SHARED(uint64_t, empty, 2);
  const uint32_t words = bytes / 4;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) {
      simt::mbarrier_init(&full[i], 1);
      simt::mbarrier_init(&empty[i], 64);
    }
    simt::mbarrier_fence_init();
  }
  simt::sync_block();
  if (threadIdx.x >= 64) {
    if (threadIdx.x > 64) return;
    for (int i = 0; i < tiles; ++i) {
      if (i >= 2) simt::mbarrier_wait(&empty[i % 2], (i / 2 + 1) & 1);
      simt::mbarrier_arrive_expect(&full[i % 2], bytes);
      simt::bulk_copy(ring + i % 2 * words, x + i * words, bytes, &full[i % 2]);
    }
    return;
  }
  uint32_t sum = 0;
  for (int i = 0; i < tiles; ++i) {
    simt::mbarrier_wait(&full[i % 2], i / 2 & 1);
    for (uint32_t w = 0; w < words; ++w) sum = sum * 3 + ring[i % 2 * words + w];
    simt::mbarrier_arrive(&empty[i % 2]);
  }
  y[threadIdx.x] = sum;
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

KERNEL_TEST_CASE_SM90("bulk copies through a ring of mbarriers arrive whole and in order") {
  for (const auto& [tiles, words] : {std::pair{1, 4}, {2, 64}, {7, 36}}) {
    const auto x = testing::random_integers<uint32_t>(size_t(tiles * words), 0, 1 << 30, 5);
    const auto dx = simt::Buffer<uint32_t>::from(x);
    const simt::Buffer<uint32_t> dy(64);
    simt::launch(kernels::SIMT_NS::bulk_ring, 1, 96, size_t(8 * words), nullptr, dx.data(),
                 dy.data(), tiles, uint32_t(4 * words));
    uint32_t expected = 0;
    for (uint32_t v : x) expected = expected * 3 + v;
    CAPTURE(tiles, words);
    CHECK(dy.values() == std::vector<uint32_t>(64, expected));
  }
}

}  // namespace apprentice
