#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/ordered.cuh>

APPRENTICE_UNIT(ordered_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda<OrderedConv2d>(ordered_conv2d);
  add_cuda<OrderedLinear>(ordered_linear);
  add_cuda<OrderedPool<float>>(ordered_pool<float>);
  add_cuda<OrderedPool<uint8_t>>(ordered_pool<uint8_t>);
}
