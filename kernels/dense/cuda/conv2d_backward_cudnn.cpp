#include <fmt/core.h>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/cuda/on_device_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>
#include <apprentice/kernels/reduce.h>

namespace apprentice::kernels {
namespace {

template <class Args>
void backward_data(const Args& a, Stream stream) {
  dense::cudnn_convolve(dense::problem_of(a), {{a.grad_x.data, a.w.data, a.grad_y.data}}, stream);
}

template <class Y>
void sum_pixels(const View4<const Y>& grad_y, const View1<float>& grad_bias, Stream stream) {
  const int64_t out = grad_y.size(3);
  dense::launch_own<Reduce<Y>>(
      {{grad_y.data, {1, grad_y.numel() / out, out}}, {grad_bias.data, {1, out}}, ReduceKind::sum},
      stream);
}

template <class Args>
void backward_weight(const Args& a, Stream stream) {
  dense::cudnn_convolve(dense::problem_of(a), {{a.x.data, a.grad_w.data, a.grad_y.data}}, stream);
  if (a.grad_bias) sum_pixels(a.grad_y, a.grad_bias, stream);
}

std::string refuse(int64_t x_numel, int64_t w_numel, int64_t y_numel) {
  if (x_numel == 0 || w_numel == 0 || y_numel == 0) return "a size is zero";
  return dense::cudnn_problem();
}
template <class Args>
std::string refuse_data(const Args& a) {
  return refuse(a.grad_x.numel(), a.w.numel(), a.grad_y.numel());
}
template <class Args>
std::string refuse_weight(const Args& a) {
  return refuse(a.x.numel(), a.grad_w.numel(), a.grad_y.numel());
}

template <class Op>
void add_kernel(std::string (*refuse)(const typename Op::Args&),
                void (*run)(const typename Op::Args&, Stream)) {
  kernel_table<Op>().add({.name = fmt::format("{}_{}_cuda_cudnn", Op::name, Op::types),
                          .family = "cudnn",
                          .priority = 100,
                          .refuse = refuse,
                          .run = run,
                          .where = Device::Kind::cuda});
}

template <class X, class Y>
void add() {
  using Data = Conv2dBackwardData<float, X, Y>;
  using Weight = Conv2dBackwardWeight<float, X, Y>;
  add_kernel<Data>(refuse_data<typename Data::Args>, backward_data<typename Data::Args>);
  add_kernel<Weight>(refuse_weight<typename Weight::Args>, backward_weight<typename Weight::Args>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_backward_cudnn) {
  using namespace apprentice;
  kernels::add<float, float>();
  kernels::add<Bf16, Bf16>();
  kernels::add<float, Bf16>();
  kernels::add<Bf16, float>();
}
