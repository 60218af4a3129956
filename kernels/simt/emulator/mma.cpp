#include <apprentice/kernels/simt/emulated/mma.h>

#include <cstring>

#include <apprentice/base/bf16.h>
#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

// Fragments by the PTX ISA ("Matrix Fragments for mma.m16n8k32", "... m16n8k16", ldmatrix): the
// last lane gathers the operands of all, multiplies, and hands every lane its part.
namespace apprentice::simt::emu {

namespace {

struct MmaCall {
  void* d;
  const uint32_t *a, *b;
};

/// Four bytes of a register as numbers of 16 bits, which products sum fastest in.
void widen(int16_t* to, uint32_t bytes, bool is_signed) {
  for (int i = 0; i < 4; ++i) {
    const uint8_t byte = uint8_t(bytes >> 8 * i);
    to[i] = is_signed ? int16_t(int8_t(byte)) : int16_t(byte);
  }
}

int dot32(const int16_t* a, const int16_t* b) {
  int sum = 0;
  for (int k = 0; k < 32; ++k) sum += a[k] * b[k];
  return sum;
}

void run_mma_8bit(const void* const* in, void* const*, uint32_t, uint32_t signs) {
  int16_t a[16][32], b[8][32];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& call = *static_cast<const MmaCall*>(in[lane]);
    const int g = lane / 4, k = lane % 4 * 4;
    for (int r = 0; r < 4; ++r) widen(&a[g + 8 * (r & 1)][k + 16 * (r >> 1)], call.a[r], signs & 1);
    for (int r = 0; r < 2; ++r) widen(&b[g][k + 16 * r], call.b[r], signs & 2);
  }
  for (int lane = 0; lane < 32; ++lane) {
    int* d = static_cast<int*>(static_cast<const MmaCall*>(in[lane])->d);
    for (int i = 0; i < 4; ++i) {
      const int sum = dot32(a[lane / 4 + 8 * (i >> 1)], b[lane % 4 * 2 + (i & 1)]);
      d[i] = int(uint32_t(d[i]) + uint32_t(sum));
    }
  }
  ++engine->statistics.products;
}

void run_mma_bf16(const void* const* in, void* const*, uint32_t, uint32_t) {
  float a[16][16], b[8][16];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& call = *static_cast<const MmaCall*>(in[lane]);
    const int g = lane / 4, k = lane % 4 * 2;
    for (int h = 0; h < 2; ++h) {
      for (int r = 0; r < 4; ++r)
        a[g + 8 * (r & 1)][k + h + 8 * (r >> 1)] = Bf16::of_bits(uint16_t(call.a[r] >> 16 * h));
      for (int r = 0; r < 2; ++r)
        b[g][k + h + 8 * r] = Bf16::of_bits(uint16_t(call.b[r] >> 16 * h));
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    float* d = static_cast<float*>(static_cast<const MmaCall*>(in[lane])->d);
    for (int i = 0; i < 4; ++i) {
      // Hardware keeps fewer bits of the sum; how many is nowhere promised.
      double sum = d[i];
      for (int k = 0; k < 16; ++k)
        sum += double(a[lane / 4 + 8 * (i >> 1)][k]) * double(b[lane % 4 * 2 + (i & 1)][k]);
      d[i] = float(sum);
    }
  }
  ++engine->statistics.products;
}

struct MatrixRow {
  const void* data;
  const Site* site;
};

void read_matrix(const void* const* in, int first_lane, uint16_t (&matrix)[8][8]) {
  const void* rows[8];
  for (int j = 0; j < 8; ++j) {
    const int lane = first_lane + j;
    const auto& row = *static_cast<const MatrixRow*>(in[lane]);
    if (reinterpret_cast<uintptr_t>(row.data) % 16)
      fail(*row.site, "ldmatrix: the row address of lane {} is not a multiple of 16 bytes", lane);
    require_shared(row.data, 16, "ldmatrix", *row.site);
    if (checker)
      checker->access(*self()->warp->lanes[lane], row.data, 16, Access::read, place_of(*row.site),
                      false);
    std::memcpy(matrix[j], row.data, 16);
    rows[j] = row.data;
  }
  if (checker) checker->collective_access(rows, 8, 16);
}

void run_ldmatrix(const void* const* in, void* const* out, uint32_t, uint32_t argument) {
  const int count = int(argument >> 1);
  const bool transposed = argument & 1;
  for (int i = 0; i < count; ++i) {
    uint16_t m[8][8];
    read_matrix(in, 8 * i, m);
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4 * 2;
      const uint32_t low = transposed ? m[t][g] : m[g][t];
      const uint32_t high = transposed ? m[t + 1][g] : m[g][t + 1];
      static_cast<uint32_t*>(out[lane])[i] = low | high << 16;
    }
  }
}

}  // namespace

void mma_8bit(int* d, const uint32_t* a, const uint32_t* b, Signs signs, const Site& site) {
  const MmaCall call{d, a, b};
  warp_collective("mma_m16n8k32", full_mask, &call, nullptr, run_mma_8bit,
                  uint32_t(signs.a) | uint32_t(signs.b) << 1, site);
}

void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, const Site& site) {
  const MmaCall call{d, a, b};
  warp_collective("mma_m16n8k16_bf16", full_mask, &call, nullptr, run_mma_bf16, 0, site);
}

void ldmatrix(uint32_t* r, int count, bool transposed, const void* row, const Site& site) {
  const MatrixRow call{row, &site};
  warp_collective("ldmatrix", full_mask, &call, r, run_ldmatrix,
                  uint32_t(count) << 1 | uint32_t(transposed), site);
}

}  // namespace apprentice::simt::emu
