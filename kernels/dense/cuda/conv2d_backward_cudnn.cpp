#include <apprentice/base/unit.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/cuda/on_device_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>
#include <apprentice/kernels/reduce.h>

namespace apprentice::kernels {
namespace {

using DataArgs = Conv2dBackwardData<float>::Args;
using WeightArgs = Conv2dBackwardWeight<float>::Args;

void backward_data(const DataArgs& a, Stream stream) {
  dense::cudnn_convolve(dense::problem_of(a), {a.grad_x.data, a.w.data, a.grad_y.data}, stream);
}

void backward_weight(const WeightArgs& a, Stream stream) {
  dense::cudnn_convolve(dense::problem_of(a), {a.x.data, a.grad_w.data, a.grad_y.data}, stream);
  if (!a.grad_bias) return;
  const int64_t out = a.grad_y.size(3), pixels = a.grad_y.numel() / out;
  dense::launch_own<Reduce<float>>(
      {{a.grad_y.data, {1, pixels, out}}, {a.grad_bias.data, {1, out}}, ReduceKind::sum}, stream);
}

std::string refuse(int64_t x_numel, int64_t w_numel, int64_t y_numel) {
  if (x_numel == 0 || w_numel == 0 || y_numel == 0) return "a size is zero";
  return dense::cudnn_problem();
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_backward_cudnn) {
  using namespace apprentice::kernels;
  constexpr auto kWhere = apprentice::Device::Kind::cuda;
  kernel_table<Conv2dBackwardData<float>>().add({.name = "conv2d_backward_data_f32_cuda_cudnn",
                                                 .family = "cudnn",
                                                 .priority = 100,
                                                 .refuse =
                                                     [](const DataArgs& a) {
                                                       return refuse(a.grad_x.numel(), a.w.numel(),
                                                                     a.grad_y.numel());
                                                     },
                                                 .run = backward_data,
                                                 .where = kWhere});
  kernel_table<Conv2dBackwardWeight<float>>().add(
      {.name = "conv2d_backward_weight_f32_cuda_cudnn",
       .family = "cudnn",
       .priority = 100,
       .refuse =
           [](const WeightArgs& a) {
             return refuse(a.x.numel(), a.grad_w.numel(), a.grad_y.numel());
           },
       .run = backward_weight,
       .where = kWhere});
}
