#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/optimizer.cuh>

APPRENTICE_UNIT(optimizer_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda_with_scratch<SgdStep<float>>(sgd_step, step_scratch_bytes<SgdStep<float>>);
  add_cuda_with_scratch<AdamStep<float>>(adam_step, step_scratch_bytes<AdamStep<float>>);
}
