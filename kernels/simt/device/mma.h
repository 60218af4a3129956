#pragma once

#include <apprentice/kernels/simt/device/base.h>

namespace apprentice::simt {
inline namespace api_dev {

/// The PTX name of an 8-bit operand.
template <class T>
struct OperandName;
template <>
struct OperandName<int8_t> {
  static constexpr const char text[] = "s8";
};
template <>
struct OperandName<uint8_t> {
  static constexpr const char text[] = "u8";
};

/// D[16, 8] += A[16, 32] B[8, 32]^T in s32; A and B each int8_t or uint8_t. With lane = 4g + t,
/// register r and byte b: A row g + 8(r & 1), k 4t + b + 16(r >> 1); B row g, k 4t + b + 16r;
/// D register i: row g + 8(i >> 1), column 2t + (i & 1).
template <class A = int8_t, class B = int8_t>
SIMT_FN void mma_m16n8k32(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.%10.%11.s32 "
      "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "C"(OperandName<A>::text),
        "C"(OperandName<B>::text));
}

/// D[16, 8] += A[16, 16] B[8, 16]^T in f32, A and B in bf16, two to a register. A register r, half
/// h: row g + 8(r & 1), k 2t + h + 8(r >> 1); B register r: row g, k 2t + h + 8r; D as above.
SIMT_FN void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Matrices of 8 rows of 16 bytes; lane 8i + j gives the address of row j of matrix i. Register i of
// lane 4g + t holds the 16-bit elements (g, 2t) and (g, 2t + 1) of matrix i, or with _trans
// (2t, g) and (2t + 1, g).
SIMT_FN void ldmatrix_x1(uint32_t (&r)[1], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0},[%1];"
               : "=r"(r[0])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_FN void ldmatrix_x2(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1},[%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_FN void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_FN void ldmatrix_x1_trans(uint32_t (&r)[1], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0},[%1];"
               : "=r"(r[0])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_FN void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1},[%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
SIMT_FN void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3},[%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

}  // namespace api_dev
}  // namespace apprentice::simt
