#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/count.cuh>

APPRENTICE_UNIT(count_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<CountCorrect<float>>(SIMT_NS::count_correct, SIMT_NS::refuse_count_correct);
  SIMT_NS::add_cuda<CountCodes<float>>(SIMT_NS::count_codes<float>);
  SIMT_NS::add_cuda<CountCodes<apprentice::Bf16>>(SIMT_NS::count_codes<apprentice::Bf16>);
}
