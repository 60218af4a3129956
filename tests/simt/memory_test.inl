#include <cmath>
#include <limits>

#include <apprentice/base/bf16.h>
#include <simt/kernel_test.h>

namespace apprentice::kernels::SIMT_NS {

constexpr int integer_results = 4;

SIMT_KERNEL integer_functions(const uint32_t* a, const uint32_t* b, uint32_t* out) {
  const unsigned i = threadIdx.x;
  uint32_t* o = out + i * integer_results;
  o[0] = simt::prmt(a[i], b[i], 0xb9c1u + i);
  o[1] = uint32_t(simt::dp4a(int(a[i]), int(b[i]), int(i)));
  o[2] = uint32_t(simt::dp4a_us(a[i], int(b[i]), int(i)));
  o[3] = uint32_t(simt::popc(a[i]));
}

SIMT_KERNEL float_functions(const float* x, int n, int* rounded, uint16_t* narrow, float* wide) {
  for (int i = int(threadIdx.x); i < n; i += int(blockDim.x)) {
    rounded[i] = simt::round_to_int(x[i]);
    narrow[i] = Bf16(x[i]).bits;
    wide[i] = Bf16(x[i]);
  }
}

SIMT_KERNEL wide_accesses(const float* x, float* y) {
  const auto v = simt::load_as<simt::F32x4>(x + 4 * threadIdx.x);
  simt::store_as(y + 4 * threadIdx.x, simt::F32x4{v.w, v.z, v.y, v.x});
  const auto two = simt::load_as<simt::U32x2>(x + 2 * threadIdx.x);
  simt::store_as(y + 128 + 2 * threadIdx.x, two);
}

/// All threads on the same eight places.
SIMT_KERNEL atomics(int* i, unsigned* u, float* f, unsigned long long* l, int* seen) {
  const int t = int(blockIdx.x * blockDim.x + threadIdx.x);
  simt::atomic_add(&i[0], t);
  simt::atomic_max(&i[1], t ^ 21);
  simt::atomic_min(&i[2], t - 50);
  simt::atomic_add(&u[0], 3u);
  simt::atomic_add(f, 0.5f);
  simt::atomic_add(l, 1ull << 33);
  // Each ticket goes to one thread.
  seen[simt::atomic_add(&u[1], 1u)] = 1;
  // Only the thread that finds 7 there puts its 9.
  if (simt::atomic_cas(&i[3], 7, 9) == 7) simt::atomic_exch(&i[4], 1234);
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

KERNEL_TEST_CASE("prmt, dp4a and popc equal their formulas") {
  const auto a = testing::random_integers<uint32_t>(64, -2147483647, 2147483647, 1);
  const auto b = testing::random_integers<uint32_t>(64, -2147483647, 2147483647, 2);
  constexpr int count = kernels::SIMT_NS::integer_results;
  const auto da = simt::Buffer<uint32_t>::from(a), db = simt::Buffer<uint32_t>::from(b);
  const simt::Buffer<uint32_t> y(64 * count);
  simt::launch(kernels::SIMT_NS::integer_functions, 1, 64, 0, nullptr, da.data(), db.data(),
               y.data());
  const auto got = y.values();
  for (unsigned i = 0; i < 64; ++i) {
    const uint64_t both = uint64_t(b[i]) << 32 | a[i];
    uint32_t permuted = 0, signed_sum = i, mixed_sum = i, bits = 0;
    for (int j = 0; j < 4; ++j) {
      const unsigned nibble = (0xb9c1u + i) >> 4 * j & 15;
      const uint8_t byte = uint8_t(both >> 8 * (nibble % 8));
      const uint8_t sign = byte >= 128 ? 255 : 0;
      permuted |= uint32_t(nibble >= 8 ? sign : byte) << 8 * j;
      const int weight = int8_t(b[i] >> 8 * j);
      signed_sum += uint32_t(int8_t(a[i] >> 8 * j) * weight);
      mixed_sum += uint32_t(uint8_t(a[i] >> 8 * j) * weight);
    }
    for (int j = 0; j < 32; ++j) bits += a[i] >> j & 1;
    CAPTURE(i, a[i], b[i]);
    CHECK(got[i * count] == permuted);
    CHECK(got[i * count + 1] == signed_sum);
    CHECK(got[i * count + 2] == mixed_sum);
    CHECK(got[i * count + 3] == bits);
  }
}

KERNEL_TEST_CASE("floats round to the nearest integer and bf16, ties to even, and saturate") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0.5f,     1.5f, -0.5f, -2.5f, 0.49999997f, 3e9f,        -3e9f,
                                2.147e9f, inf,  -inf,  -0.0f, 1.00390625f, 1.01171875f, 3.4e38f};
  const std::vector<int> rounded = {0,
                                    2,
                                    0,
                                    -2,
                                    0,
                                    std::numeric_limits<int>::max(),
                                    std::numeric_limits<int>::min(),
                                    2147000064,
                                    std::numeric_limits<int>::max(),
                                    std::numeric_limits<int>::min(),
                                    0,
                                    1,
                                    1,
                                    std::numeric_limits<int>::max()};
  // 1 + 2^-8 and 1 + 3 * 2^-8 lie between two bf16; 3.4e38 is beyond the largest.
  const std::vector<float> wide = {0.5f,          1.5f,           -0.5f,        -2.5f, 0.5f,
                                   3003121664.0f, -3003121664.0f, 2.1474836e9f, inf,   -inf,
                                   -0.0f,         1.0f,           1.015625f,    inf};
  const int n = int(x.size());
  const auto dx = simt::Buffer<float>::from(x);
  const simt::Buffer<int> dr(x.size());
  const simt::Buffer<uint16_t> dn(x.size());
  const simt::Buffer<float> dw(x.size());
  simt::launch(kernels::SIMT_NS::float_functions, 1, 32, 0, nullptr, dx.data(), n, dr.data(),
               dn.data(), dw.data());
  const auto got_rounded = dr.values();
  const auto got_wide = dw.values();
  for (int i = 0; i < n; ++i) {
    CAPTURE(i, x[i]);
    CHECK(got_rounded[i] == rounded[i]);
    CHECK(got_wide[i] == wide[i]);
    CHECK(std::signbit(got_wide[i]) == std::signbit(x[i]));
  }
}

KERNEL_TEST_CASE("a NaN rounds to 0 and stays one in bf16") {
  const auto x =
      simt::Buffer<float>::from(std::vector<float>{std::numeric_limits<float>::quiet_NaN()});
  const simt::Buffer<int> r(1);
  const simt::Buffer<uint16_t> n(1);
  const simt::Buffer<float> w(1);
  simt::launch(kernels::SIMT_NS::float_functions, 1, 32, 0, nullptr, x.data(), 1, r.data(),
               n.data(), w.data());
  CHECK(r.values()[0] == 0);
  CHECK(std::isnan(w.values()[0]));
}

KERNEL_TEST_CASE("vector loads and stores move their bytes") {
  const auto x = testing::random_integers<float>(128, -99, 99, 3);
  const auto dx = simt::Buffer<float>::from(x);
  const simt::Buffer<float> dy(192);
  simt::launch(kernels::SIMT_NS::wide_accesses, 1, 32, 0, nullptr, dx.data(), dy.data());
  const auto y = dy.values();
  for (int i = 0; i < 128; ++i) CHECK(y[i] == x[i / 4 * 4 + 3 - i % 4]);
  for (int i = 0; i < 64; ++i) CHECK(y[128 + i] == x[i]);
}

KERNEL_TEST_CASE("atomics of many blocks lose nothing and give each ticket once") {
  constexpr int threads = 3 * 96;
  const auto i = simt::Buffer<int>::from(std::vector<int>{0, -1, 0, 7, 0});
  const auto u = simt::Buffer<unsigned>::from(std::vector<unsigned>{0, 0});
  const auto f = simt::Buffer<float>::from(std::vector<float>{0});
  const auto l = simt::Buffer<unsigned long long>::from(std::vector<unsigned long long>{0});
  const auto seen = simt::Buffer<int>::from(std::vector<int>(threads, 0));
  simt::launch(kernels::SIMT_NS::atomics, 3, 96, 0, nullptr, i.data(), u.data(), f.data(), l.data(),
               seen.data());
  int most = 0;
  for (int t = 0; t < threads; ++t) most = std::max(most, t ^ 21);
  CHECK(i.values() == std::vector<int>{threads * (threads - 1) / 2, most, -50, 9, 1234});
  CHECK(u.values() == std::vector<unsigned>{3 * threads, threads});
  CHECK(f.values()[0] == 0.5f * threads);
  CHECK(l.values()[0] == (1ull << 33) * threads);
  CHECK(seen.values() == std::vector<int>(threads, 1));
}

}  // namespace apprentice
