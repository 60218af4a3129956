#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/requantize.cuh>

APPRENTICE_UNIT(requantize_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<Requantize<float>>(SIMT_NS::requantize<float>);
  SIMT_NS::add_cuda<Requantize<int32_t>>(SIMT_NS::requantize<int32_t>);
}
