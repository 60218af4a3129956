#pragma once

#include <string>

#include <apprentice/kernels/lowbit_gemm.h>
#include <apprentice/kernels/cuda/lowbit_outputs.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Why sums of `depth` products do not fit, or "": the operand is 64 (16) times the code, and the
/// sums of that are s32.
template <class X, int Bits>
std::string beyond_lowbit_sums(int64_t depth) {
  constexpr int64_t kLargest =
      int64_t(fragment_factor<Bits>) * (Bits == 2 ? 1 : 8) * (std::is_signed_v<X> ? 128 : 255);
  constexpr int64_t kMost = INT32_MAX / kLargest;
  if (depth <= kMost) return "";
  return fmt::format("{} products a sum, at most {} fit in s32 as tensor cores add them", depth,
                     kMost);
}

/// The most bytes, of 16, 4 and 1, that lie together behind any multiple of `channels` bytes.
inline int lowbit_copy_bytes(const void* x, int64_t channels) {
  const auto fits = [&](int64_t bytes) {
    return channels % bytes == 0 && reinterpret_cast<uintptr_t>(x) % uintptr_t(bytes) == 0;
  };
  return fits(16) ? 16 : fits(4) ? 4 : 1;
}

/// May four neighbours be stored at once?
inline bool lowbit_vectors(const LowbitMma& p) {
  const auto fits = [](const void* to, uintptr_t bytes) {
    return reinterpret_cast<uintptr_t>(to) % bytes == 0;
  };
  return p.out % 4 == 0 && fits(p.acc, 16) && fits(p.negative, 16) && fits(p.acc_f32, 16) &&
         fits(p.y, 4);
}

/// Weights and epilogue of a problem.
template <class Args>
LowbitMma lowbit_problem(const Args& args) {
  LowbitMma p = {};
  const auto* fragments = static_cast<const LowbitFragments*>(args.prepacked);
  p.words = fragments->words.get();
  p.layout = fragments->layout;
  p.out = int(args.weight.rows);
  p.acc = args.acc.data;
  p.negative = args.acc_negative.data;
  p.y = args.y.data;
  p.a = args.epilogue.a.data;
  p.a_negative = args.epilogue.a_negative.data;
  p.b = args.epilogue.b.data;
  p.r = args.epilogue.r;
  p.max_code = float(args.epilogue.max_code);
  p.residual = args.residual.data;
  return p;
}

template <class X, int Bits>
std::string refuse_lowbit_gemm(const typename LowbitGemm<X, Bits>::Args& args) {
  if (const std::string reason = args.beyond_codes(); !reason.empty()) return reason;
  if (args.value) return "unrounded values are wanted, which are not written here";
  if (args.two_step && Bits != 2) return "two steps of 4-bit weights";
  return beyond_lowbit_sums<X, Bits>(args.weight.cols);
}

/// LowbitGemm: rows of x are images of one pixel. `args.prepacked` holds LowbitFragments.
template <class X, int Bits>
LowbitMma lowbit_gemm_problem(const typename LowbitGemm<X, Bits>::Args& args) {
  LowbitMma p = lowbit_problem(args);
  p.x = reinterpret_cast<const unsigned char*>(args.x.data);
  p.c = int(args.weight.cols);
  p.copy_bytes = lowbit_copy_bytes(p.x, p.c);
  p.h = p.w = p.kw = p.out_h = p.out_w = 1;
  for (int axis : {0, 1}) p.stride[axis] = p.dilation[axis] = 1;
  p.pixels = args.rows();
  p.residual_image = p.out;
  p.residual_channels = p.out;
  p.vectors = lowbit_vectors(p);
  return p;
}

template <class X, int Bits>
void lowbit_gemm(const typename LowbitGemm<X, Bits>::Args& args, simt::Stream stream) {
  const LowbitMma p = lowbit_gemm_problem<X, Bits>(args);
  launch_lowbit_mma<X, Bits>(p, args.two_step, lowbit_block_strips(p), stream);
}

}  // namespace apprentice::kernels::SIMT_NS
