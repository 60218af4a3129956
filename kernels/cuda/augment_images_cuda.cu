#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/augment_images.cuh>

APPRENTICE_UNIT(augment_images_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<AugmentImages>(SIMT_NS::augment_images);
}
