// The kernels of dense operations for CUDA devices, on a machine that has none.
#include <catch2/catch.hpp>
#include <string>

#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/vendor/gpu_internal.h>
#include <apprentice/kernels/dense/vendor_libraries.h>
#include <apprentice/kernels/gemm.h>
#include <apprentice/kernels/kernel_table.h>
#include <support/throws.h>

namespace apprentice {
void load_dense_units();
}

using namespace apprentice;
using namespace apprentice::kernels;
using test::throws;

namespace {

constexpr Device kGpu{Device::Kind::cuda, 0};

/// A convolution of one pixel, its gradients' arguments made of the same memory.
Conv2d<float>::Args one_pixel(float* memory) {
  Conv2d<float>::Args args;
  args.x = {memory, {1, 1, 1, 1}};
  args.w = {memory + 4, {1, 1, 1, 1}};
  args.y = {memory + 8, {1, 1, 1, 1}};
  return args;
}

template <class Op>
const Kernel<Op>& selected(const typename Op::Args& args) {
  load_dense_units();
  return kernel_table<Op>().select(args, Preference{}, kGpu.kind);
}

}  // namespace

TEST_CASE("work for a GPU that is not there is an error with the problem and the call") {
  const std::string missing = dense::cudnn_problem() + dense::cublaslt_problem();
  if (device_count(kGpu.kind) > 0 || !missing.empty()) {
    WARN("skipped: " << (missing.empty() ? "there is a GPU" : missing));
    return;
  }
  float memory[12] = {};
  const auto forward = one_pixel(memory);
  const Stream stream{kGpu};
  CHECK(throws<DeviceError>([&] { selected<Conv2d<float>>(forward).run(forward, stream); },
                            "conv2d f32 x nhwc 1x1x1x1", "cudaSetDevice", "cuda:0") == "");
  const Conv2dBackwardData<float>::Args data{forward.y, forward.w, {memory, {1, 1, 1, 1}}, {}};
  CHECK(throws<DeviceError>([&] { selected<Conv2dBackwardData<float>>(data).run(data, stream); },
                            "conv2d_backward_data f32", "cudaSetDevice") == "");
  Gemm<float>::Args product;
  product.a = {memory, {1, 2}}, product.b = {memory, {2, 1}}, product.c = {memory + 8, {1, 1}};
  CHECK(throws<DeviceError>([&] { selected<Gemm<float>>(product).run(product, stream); },
                            "gemm f32 1x1x2", "cudaSetDevice", "cuda:0") == "");
}

TEST_CASE("what cuDNN's kernels cannot do they refuse with the reason") {
  float memory[12] = {};
  auto args = one_pixel(memory);
  args.residual = args.y;
  CHECK(throws<DeviceError>([&] { selected<Conv2d<float>>(args); }, "conv2d_f32_cuda_cudnn",
                            "the residual is the output itself") == "");
  args = one_pixel(memory);
  args.x.sizes[3] = args.w.sizes[3] = 0;
  CHECK(throws<DeviceError>([&] { selected<Conv2d<float>>(args); }, "a size is zero") == "");
}
