// Dense products and convolutions of the emulated device, which vendor libraries compute on a GPU:
// its memory is the host's, so here the references of the CPU do, on factors rounded to what the
// precision allows.
#include <bit>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/gemm.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/simt/simt.h>

namespace apprentice::kernels {
namespace {

/// A factor as tensor cores take it: bf16 rounded to the nearest, TF32 cut off.
float rounded(float v, Precision precision) {
  if (precision == Precision::tf32)
    return std::bit_cast<float>(std::bit_cast<uint32_t>(v) & ~0x1fffu);
  return precision == Precision::bf16 ? float(Bf16(v)) : v;
}

/// Copies of factors, rounded, that live as long as it does.
class Factors {
 public:
  explicit Factors(Precision precision) : precision_(precision) {}
  template <int R>
  void round(View<const float, R>& view) {
    if (precision_ == Precision::f32) return;
    auto& copy = copies_.emplace_back(view.data, view.data + view.numel());
    for (float& v : copy) v = rounded(v, precision_);
    view.data = copy.data();
  }
  /// Its factors are as short as any precision allows.
  template <int R>
  void round(View<const Bf16, R>&) {}

 private:
  Precision precision_;
  std::vector<std::vector<float>> copies_;
};

/// Rounds the two factors of a product or convolution.
template <class Args>
void round_factors(Args& args, Factors& to) {
  if constexpr (requires { args.grad_w; }) {
    // The bias's gradient is no product.
    if (!args.grad_bias) to.round(args.x), to.round(args.grad_y);
  } else if constexpr (requires { args.grad_x; }) {
    to.round(args.grad_y), to.round(args.w);
  } else if constexpr (requires { args.c; }) {
    to.round(args.a), to.round(args.b);
  } else {
    to.round(args.x), to.round(args.w);
  }
}

template <class Op>
void run_reference(typename Op::Args args) {
  Factors factors(args.precision);
  round_factors(args, factors);
  kernel_table<Op>().select(args, {"reference"}).run(args, {});
}

template <class Op>
void add() {
  kernel_table<Op>().add({.name = fmt::format("{}_{}_emulated_host", Op::name, Op::types),
                          .family = "host",
                          .priority = 0,
                          .refuse = nullptr,
                          .run =
                              [](const typename Op::Args& args, Stream stream) {
                                simt::emu::give(stream.handle, [=] { run_reference<Op>(args); });
                              },
                          .where = Device::Kind::emulated});
}

template <class X, class Y>
void add_convolutions() {
  add<Conv2d<float, X, Y>>();
  add<Conv2dBackwardData<float, X, Y>>();
  add<Conv2dBackwardWeight<float, X, Y>>();
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(dense_emulated) {
  using namespace apprentice;
  kernels::add<kernels::Gemm<float>>();
  kernels::add_convolutions<float, float>();
  kernels::add_convolutions<Bf16, Bf16>();
  kernels::add_convolutions<float, Bf16>();
  kernels::add_convolutions<Bf16, float>();
}
