#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/bias_relu.cuh>

APPRENTICE_UNIT(bias_relu_cuda) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<BiasRelu<float>>(SIMT_NS::bias_relu<float>);
  SIMT_NS::add_cuda<BiasRelu<float, Bf16>>(SIMT_NS::bias_relu<Bf16>);
}
