#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/non_finite.cuh>

APPRENTICE_UNIT(non_finite_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda<NonFinite<float>>(non_finite);
}
