#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/scatter_axis.cuh>

APPRENTICE_UNIT(scatter_axis_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<ScatterAxis<float>>(SIMT_NS::scatter_axis);
}
