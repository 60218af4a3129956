#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/strided_copy.cuh>

APPRENTICE_UNIT(strided_copy_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<StridedCopy>(SIMT_NS::strided_copy);
}
