#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/quantize_weights.cuh>

APPRENTICE_UNIT(quantize_weights_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda_with_scratch<QuantizeWeights>(quantize_weights, quantize_weights_scratch_bytes);
}
