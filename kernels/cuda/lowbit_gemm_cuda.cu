#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/lowbit_register_internal.h>
#include <apprentice/kernels/cuda/lowbit_gemm.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

template <class X, int Bits>
void add_gemm() {
  add_lowbit<LowbitGemm<X, Bits>>(lowbit_gemm<X, Bits>, refuse_lowbit_gemm<X, Bits>);
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(lowbit_gemm_cuda) {
  using namespace apprentice::kernels::SIMT_NS;
  add_gemm<uint8_t, 2>();
  add_gemm<int8_t, 2>();
  add_gemm<uint8_t, 4>();
  add_gemm<int8_t, 4>();
}
