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
  auto bits = std::bit_cast<uint32_t>(v);
  if (precision == Precision::tf32) bits &= ~0x1fffu;
  if (precision == Precision::bf16) bits = (bits + 0x7fff + (bits >> 16 & 1)) & ~0xffffu;
  return std::bit_cast<float>(bits);
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

 private:
  Precision precision_;
  std::vector<std::vector<float>> copies_;
};

void round_factors(Gemm<float>::Args& args, Factors& to) { to.round(args.a), to.round(args.b); }
void round_factors(Conv2d<float>::Args& args, Factors& to) { to.round(args.x), to.round(args.w); }
void round_factors(Conv2dBackwardData<float>::Args& args, Factors& to) {
  to.round(args.grad_y), to.round(args.w);
}
/// The bias's gradient is no product.
void round_factors(Conv2dBackwardWeight<float>::Args& args, Factors& to) {
  if (!args.grad_bias) to.round(args.x), to.round(args.grad_y);
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

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(dense_emulated) {
  using namespace apprentice::kernels;
  add<Gemm<float>>();
  add<Conv2d<float>>();
  add<Conv2dBackwardData<float>>();
  add<Conv2dBackwardWeight<float>>();
}
