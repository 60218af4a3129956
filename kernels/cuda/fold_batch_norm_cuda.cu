#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/fold_batch_norm.cuh>

APPRENTICE_UNIT(fold_batch_norm_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<FoldBatchNorm<float>>(SIMT_NS::fold_batch_norm);
}
