#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/softmax.cuh>

APPRENTICE_UNIT(softmax_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<Softmax<float>>(SIMT_NS::softmax);
  SIMT_NS::add_cuda<SoftmaxBackward<float>>(SIMT_NS::softmax_backward);
}
