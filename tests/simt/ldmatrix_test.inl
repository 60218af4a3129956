#include <cstring>

#include <simt/kernel_test.h>

namespace apprentice::kernels::SIMT_NS {

/// Registers 4 to a lane; what x1 and x2 do not load stays 0.
template <int Count, bool Transposed>
SIMT_KERNEL load_matrices(const simt::U32x4* rows, uint32_t* out) {
  SIMT_SHARED(simt::U32x4, s, 32);
  const unsigned lane = threadIdx.x;
  s[lane] = rows[lane];
  simt::sync_warp();
  // Lanes beyond 8 * Count give an address that is not used.
  const void* row = &s[lane % (8 * Count)];
  uint32_t r[Count];
  if constexpr (Count == 1) {
    if (Transposed) {
      simt::ldmatrix_x1_trans(r, row);
    } else {
      simt::ldmatrix_x1(r, row);
    }
  } else if constexpr (Count == 2) {
    if (Transposed) {
      simt::ldmatrix_x2_trans(r, row);
    } else {
      simt::ldmatrix_x2(r, row);
    }
  } else {
    if (Transposed) {
      simt::ldmatrix_x4_trans(r, row);
    } else {
      simt::ldmatrix_x4(r, row);
    }
  }
  for (int i = 0; i < 4; ++i) out[lane * 4 + i] = i < Count ? r[i] : 0;
}

}  // namespace apprentice::kernels::SIMT_NS

namespace apprentice {

namespace {

/// PTX ISA, ldmatrix: thread t holds the two elements 2(t % 4), 2(t % 4) + 1 of row t / 4 of each
/// matrix; with .trans the same of the transposed matrix.
template <int Count, bool Transposed>
void check_ldmatrix() {
  const auto elements = testing::random_integers<uint16_t>(4 * 64, 0, 65535, 10);
  std::vector<simt::U32x4> rows(32);
  std::memcpy(rows.data(), elements.data(), sizeof(uint16_t) * elements.size());
  const auto x = simt::Buffer<simt::U32x4>::from(rows);
  const simt::Buffer<uint32_t> y(128);
  simt::launch(kernels::SIMT_NS::load_matrices<Count, Transposed>, 1, 32, 0, nullptr, x.data(),
               y.data());
  const auto got = y.values();
  for (int t = 0; t < 32; ++t)
    for (int matrix = 0; matrix < Count; ++matrix)
      for (int half = 0; half < 2; ++half) {
        const int row = t / 4, column = 2 * (t % 4) + half;
        const int at = Transposed ? column * 8 + row : row * 8 + column;
        CAPTURE(Count, Transposed, t, matrix, half);
        CHECK((got[t * 4 + matrix] >> 16 * half & 0xffff) == elements[matrix * 64 + at]);
      }
}

}  // namespace

KERNEL_TEST_CASE("ldmatrix hands out one, two and four matrices, straight and transposed") {
  check_ldmatrix<1, false>();
  check_ldmatrix<2, false>();
  check_ldmatrix<4, false>();
  check_ldmatrix<1, true>();
  check_ldmatrix<2, true>();
  check_ldmatrix<4, true>();
}

}  // namespace apprentice
