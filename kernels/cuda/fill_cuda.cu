#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/fill.cuh>

APPRENTICE_UNIT(fill_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<Fill>(SIMT_NS::fill);
}
