#include <algorithm>

#include <simt/kernel_test.h>

namespace apprentice::kernels::SIMT_NS {

constexpr int warp_results = 16;

SIMT_KERNEL every_warp_primitive(const int* in, int* out) {
  const int lane = int(threadIdx.x), v = in[lane];
  int* o = out + lane * warp_results;
  o[0] = simt::shfl(v, lane + 5);
  o[1] = simt::shfl_xor(v, 9);
  o[2] = simt::shfl_up(v, 3u);
  o[3] = simt::shfl_down(v, 7u);
  o[4] = simt::shfl(v, 3, 8);
  o[5] = simt::shfl_up(v, 2u, 8);
  o[6] = simt::shfl_down(v, 2u, 4);
  o[7] = simt::shfl_xor(v, 9, 8);
  o[8] = int(simt::ballot(v & 1));
  o[9] = int(simt::any(v == 12345)) | int(simt::all(v != 12345)) << 1;
  o[10] = simt::reduce_add(v);
  o[11] = simt::reduce_max(v);
  o[12] = simt::reduce_min(v);
  // The halves of the warp apart, each with its own mask.
  if (lane < 16) {
    o[13] = simt::shfl(v, 2, 32, 0x0000ffffu);
    o[14] = int(simt::ballot(v & 2, 0x0000ffffu));
  } else {
    o[13] = simt::shfl(v, 20, 32, 0xffff0000u);
    o[14] = int(simt::ballot(v & 2, 0xffff0000u));
  }
  o[15] = int(simt::lane_id());
}

SIMT_KERNEL shuffle_wide(const double* in, double* out) {
  out[threadIdx.x] = simt::shfl_xor(in[threadIdx.x], 17);
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

using kernels::SIMT_NS::every_warp_primitive;
using kernels::SIMT_NS::warp_results;

KERNEL_TEST_CASE("shuffles, votes and reductions of a warp give what the PTX ISA says") {
  const auto in = testing::random_integers<int>(32, -1000000, 1000000, 11);
  const auto x = simt::Buffer<int>::from(in);
  simt::Buffer<int> y(32 * warp_results);
  simt::launch(every_warp_primitive, 1, 32, 0, nullptr, x.data(), y.data());
  const auto got = y.values();

  uint32_t odd = 0, second_bit = 0;
  int sum = 0;
  for (int i = 0; i < 32; ++i) {
    odd |= uint32_t(in[i] & 1) << i;
    second_bit |= uint32_t(in[i] >> 1 & 1) << i;
    sum += in[i];
  }
  for (int i = 0; i < 32; ++i) {
    CAPTURE(i);
    const int* r = &got[i * warp_results];
    CHECK(r[0] == in[(i + 5) % 32]);
    CHECK(r[1] == in[i ^ 9]);
    CHECK(r[2] == in[i < 3 ? i : i - 3]);
    CHECK(r[3] == in[i + 7 > 31 ? i : i + 7]);
    CHECK(r[4] == in[i / 8 * 8 + 3]);
    CHECK(r[5] == in[i % 8 < 2 ? i : i - 2]);
    CHECK(r[6] == in[i % 4 > 1 ? i : i + 2]);
    // xor may leave its segment downwards, never upwards.
    CHECK(r[7] == in[(i ^ 9) > (i | 7) ? i : i ^ 9]);
    CHECK(uint32_t(r[8]) == odd);
    CHECK(r[9] == 2);
    CHECK(r[10] == sum);
    CHECK(r[11] == *std::max_element(in.begin(), in.end()));
    CHECK(r[12] == *std::min_element(in.begin(), in.end()));
    CHECK(r[13] == in[i < 16 ? 2 : 20]);
    CHECK(uint32_t(r[14]) == (second_bit & (i < 16 ? 0x0000ffffu : 0xffff0000u)));
    CHECK(r[15] == i);
  }
}

KERNEL_TEST_CASE("a shuffle moves all eight bytes of a double") {
  std::vector<double> in(32);
  for (int i = 0; i < 32; ++i) in[i] = 1.0 / (i + 1);
  const auto x = simt::Buffer<double>::from(in);
  simt::Buffer<double> y(32);
  simt::launch(kernels::SIMT_NS::shuffle_wide, 1, 32, 0, nullptr, x.data(), y.data());
  const auto got = y.values();
  for (int i = 0; i < 32; ++i) CHECK(got[i] == in[i ^ 17]);
}

}  // namespace apprentice
