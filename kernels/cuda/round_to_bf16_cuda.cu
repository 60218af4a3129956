#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/round_to_bf16.cuh>

APPRENTICE_UNIT(round_to_bf16_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<RoundToBf16>(SIMT_NS::round_to_bf16);
}
