#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/batch_norm.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

template <class Args>
size_t scratch_bytes(const Args& args) {
  return batch_norm_scratch_bytes(args.x);
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(batch_norm_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda_with_scratch<BatchNormTrain<float>>(batch_norm_train, scratch_bytes);
  add_cuda<BatchNormEval<float>>(batch_norm_eval);
  add_cuda_with_scratch<BatchNormBackward<float>>(batch_norm_backward, scratch_bytes);
}
