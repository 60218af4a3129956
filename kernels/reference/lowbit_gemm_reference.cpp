#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/lowbit_gemm.h>

namespace apprentice::kernels {
namespace {

struct Decoded final : Prepacked {
  std::vector<int8_t> codes;
  int64_t bytes() const override { return int64_t(codes.size()); }
};

template <class X, int Bits>
std::shared_ptr<const Prepacked> decode(const typename LowbitGemm<X, Bits>::Args& args) {
  auto decoded = std::make_shared<Decoded>();
  const PackedCodes<Bits>& w = args.weight;
  decoded->codes.resize(size_t(w.rows * w.cols));
  unpack_codes(w, View2<int8_t>{decoded->codes.data(), {w.rows, w.cols}});
  return decoded;
}

/// Sums over some columns.
struct Sums {
  int32_t acc = 0, negative = 0;
};

/// Columns [begin, end) of a row of codes x by those of an output.
Sums sums_of(const int32_t* x, const int8_t* t, bool two_step, int64_t begin, int64_t end) {
  Sums sums;
  for (int64_t k = begin; k < end; ++k) {
    sums.acc += two_step ? (t[k] > 0 ? x[k] : 0) : x[k] * t[k];
    sums.negative += two_step && t[k] < 0 ? x[k] : 0;
  }
  return sums;
}

template <class Args>
void finish(const Args& args, int64_t i, int64_t j, float t) {
  if (args.residual) t = add_shortcut(args.epilogue, t, float(args.residual(i, j)));
  if (args.value) args.value(i, j) = t;
  if (args.y) args.y(i, j) = uint8_t(round_to_code(t, args.epilogue.max_code));
}

template <class Args>
void one_scale(const Args& args, int64_t i, int64_t j, const int32_t* x, const int8_t* t) {
  const Sums sums = sums_of(x, t, args.two_step, 0, args.weight.cols);
  if (args.acc) args.acc(i, j) = sums.acc;
  if (args.acc_negative) args.acc_negative(i, j) = sums.negative;
  if (!args.y) return;
  const Epilogue& e = args.epilogue;
  finish(args, i, j,
         args.two_step ? epilogue_value(e, j, float(sums.acc), float(sums.negative))
                       : epilogue_value(e, j, float(sums.acc)));
}

template <class Args>
void scale_a_group(const Args& args, int64_t i, int64_t j, const int32_t* x, const int8_t* t) {
  const int64_t depth = args.weight.cols;
  float value = args.epilogue.b ? args.epilogue.b(j) : 0;
  for (int64_t g = 0; g * args.group_size < depth; ++g) {
    const int64_t end = std::min(depth, (g + 1) * args.group_size);
    const Sums sums = sums_of(x, t, args.two_step, g * args.group_size, end);
    if (args.two_step) {
      value = std::fmaf(-float(sums.negative), args.group_a_negative(g, j), value);
    }
    value = std::fmaf(float(sums.acc), args.group_a(g, j), value);
  }
  finish(args, i, j, value);
}

template <class X, int Bits>
void run(const typename LowbitGemm<X, Bits>::Args& args, Stream) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = decode<X, Bits>(args);
  const auto* weights = static_cast<const Decoded*>(own ? own.get() : args.prepacked);
  const int64_t depth = args.weight.cols;
#pragma omp parallel for
  for (int64_t i = 0; i < args.rows(); ++i) {
    static thread_local std::vector<int32_t> x;
    x.resize(size_t(depth));
    for (int64_t k = 0; k < depth; ++k) {
      x[size_t(k)] = args.real_x ? quantize_code(args.real_x(i, k), args.grid) : args.x(i, k);
    }
    for (int64_t j = 0; j < args.weight.rows; ++j) {
      const int8_t* t = weights->codes.data() + j * depth;
      args.group_size > 0 ? scale_a_group(args, i, j, x.data(), t)
                          : one_scale(args, i, j, x.data(), t);
    }
  }
}

template <class X, int Bits>
void add() {
  using Op = LowbitGemm<X, Bits>;
  kernel_table<Op>().add({std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_reference",
                          "reference", 0, nullptr, run<X, Bits>, decode<X, Bits>});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_gemm_reference) {
  using namespace apprentice::kernels;
  add<uint8_t, 2>();
  add<uint8_t, 4>();
  add<int8_t, 2>();
  add<int8_t, 4>();
}
