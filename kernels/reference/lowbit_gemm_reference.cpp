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

template <class Args>
void finish(const Args& args, int64_t i, int64_t j, int32_t acc, int32_t negative) {
  if (args.acc) args.acc(i, j) = acc;
  if (args.acc_negative) args.acc_negative(i, j) = negative;
  if (!args.y) return;
  const Epilogue& e = args.epilogue;
  float t = args.two_step ? epilogue_value(e, j, float(acc), float(negative))
                          : epilogue_value(e, j, float(acc));
  if (args.residual) t = add_shortcut(e, t, float(args.residual(i, j)));
  args.y(i, j) = uint8_t(round_to_code(t, e.max_code));
}

template <class X, int Bits>
void run(const typename LowbitGemm<X, Bits>::Args& args, Stream) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = decode<X, Bits>(args);
  const auto* weights = static_cast<const Decoded*>(own ? own.get() : args.prepacked);
  const int64_t depth = args.weight.cols;
#pragma omp parallel for
  for (int64_t i = 0; i < args.x.size(0); ++i) {
    for (int64_t j = 0; j < args.weight.rows; ++j) {
      const int8_t* t = weights->codes.data() + j * depth;
      int32_t acc = 0, negative = 0;
      for (int64_t k = 0; k < depth; ++k) {
        const int32_t x = args.x(i, k);
        acc += args.two_step ? (t[k] > 0 ? x : 0) : x * t[k];
        negative += t[k] < 0 ? x : 0;
      }
      finish(args, i, j, acc, args.two_step ? negative : 0);
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
