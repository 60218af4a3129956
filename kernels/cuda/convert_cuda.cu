#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/convert.cuh>

APPRENTICE_UNIT(convert_cuda) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<Convert<float, Bf16>>(SIMT_NS::convert<float, Bf16>);
  SIMT_NS::add_cuda<Convert<Bf16, float>>(SIMT_NS::convert<Bf16, float>);
}
