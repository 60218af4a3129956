// cuDNN's convolution, then bias, residual and ReLU by our own kernels: f32 engines of cuDNN have
// none of them fused.
#include <apprentice/base/unit.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/cuda/on_device_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>

namespace apprentice::kernels {
namespace {

using Args = Conv2d<float>::Args;

void conv2d(const Args& a, Stream stream) {
  dense::cudnn_convolve(dense::problem_of(a), {a.x.data, a.w.data, a.y.data}, stream);
  const int64_t out = a.y.size(3), rows = a.y.numel() / out;
  float* y = a.y.data;
  if (a.bias) dense::map_rows<functions::add>(y, out, a.bias.data, 0, y, rows, out, stream);
  if (a.residual)
    dense::map_rows<functions::add>(y, out, a.residual.data, out, y, rows, out, stream);
  if (a.relu) {
    const View1<float> all{y, {a.y.numel()}};
    dense::launch_own<MapUnary<functions::relu, float>>({all, {}, all, 0, 0}, stream);
  }
}

std::string refuse(const Args& a) {
  if (a.residual && a.residual.data == a.y.data) return "the residual is the output itself";
  if (a.x.numel() == 0 || a.w.numel() == 0 || a.y.numel() == 0) return "a size is zero";
  return dense::cudnn_problem();
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_cudnn) {
  using namespace apprentice::kernels;
  kernel_table<Conv2d<float>>().add({.name = "conv2d_f32_cuda_cudnn",
                                     .family = "cudnn",
                                     .priority = 100,
                                     .refuse = refuse,
                                     .run = conv2d,
                                     .where = apprentice::Device::Kind::cuda});
}
