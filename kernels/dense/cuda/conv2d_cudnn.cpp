#include <fmt/core.h>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/vendor_internal.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

template <class Args>
void conv2d(const Args& a, Stream stream) {
  const dense::ConvMemory memory{
      {a.x.data, a.w.data, a.y.data}, a.bias.data, a.residual.data, a.relu};
  dense::cudnn_convolve(dense::problem_of(a), memory, stream);
}

template <class Args>
std::string refuse(const Args& a) {
  if (a.residual && a.residual.data == a.y.data) return "the residual is the output itself";
  if (a.x.numel() == 0 || a.w.numel() == 0 || a.y.numel() == 0) return "a size is zero";
  return dense::cudnn_problem();
}

template <class X, class Y>
void add() {
  using Op = Conv2d<float, X, Y>;
  kernel_table<Op>().add({.name = fmt::format("conv2d_{}_cuda_cudnn", Op::types),
                          .family = "cudnn",
                          .priority = 100,
                          .refuse = refuse<typename Op::Args>,
                          .run = conv2d<typename Op::Args>,
                          .where = Device::Kind::cuda});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_cudnn) {
  using namespace apprentice;
  kernels::add<float, float>();
  kernels::add<Bf16, Bf16>();
  kernels::add<float, Bf16>();
  kernels::add<Bf16, float>();
}
