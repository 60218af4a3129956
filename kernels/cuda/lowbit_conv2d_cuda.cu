#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/lowbit_register_internal.h>
#include <apprentice/kernels/cuda/lowbit_conv2d.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

template <int Bits>
void add_conv2d() {
  add_lowbit<LowbitConv2d<Bits>>(lowbit_conv2d<Bits>, refuse_lowbit_conv2d<Bits>);
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(lowbit_conv2d_cuda) {
  apprentice::kernels::SIMT_NS::add_conv2d<2>();
  apprentice::kernels::SIMT_NS::add_conv2d<4>();
}
