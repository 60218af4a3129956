#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/batch_norm_steps.cuh>

APPRENTICE_UNIT(batch_norm_steps_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda<BatchNormInSteps<float>>(batch_norm_in_steps);
  add_cuda<BatchNormRunning<float>>(batch_norm_running);
}
