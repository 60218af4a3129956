#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/bias_residual_relu.cuh>

APPRENTICE_UNIT(bias_residual_relu_cuda) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<BiasResidualRelu<float>>(SIMT_NS::bias_residual_relu<float>);
  SIMT_NS::add_cuda<BiasResidualRelu<float, Bf16>>(SIMT_NS::bias_residual_relu<Bf16>);
}
