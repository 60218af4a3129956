#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/optimizer.cuh>

APPRENTICE_UNIT(optimizer_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda<SgdStep<float>>(sgd_step);
  add_cuda<AdamStep<float>>(adam_step);
}
