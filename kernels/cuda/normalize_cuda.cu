#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/normalize.cuh>

APPRENTICE_UNIT(normalize_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<NormalizeImages>(SIMT_NS::normalize_images);
}
