#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/batch_norm.cuh>
#include <apprentice/kernels/cuda/batch_norm_backward.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

template <class Args>
size_t scratch_bytes(const Args& args) {
  return batch_norm_scratch_bytes(args.x.size(0), args.x.size(1));
}

template <class X, class Y>
void add_layer() {
  add_cuda_with_scratch<BatchNormTrain<float, X, Y>>(batch_norm_train, scratch_bytes);
  add_cuda<BatchNormEval<float, X, Y>>(batch_norm_eval);
  add_cuda_with_scratch<BatchNormBackward<float, X, Y>>(batch_norm_backward, scratch_bytes);
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(batch_norm_cuda) {
  using namespace apprentice;
  using namespace apprentice::kernels::SIMT_NS;
  add_layer<float, float>();
  add_layer<Bf16, Bf16>();
  add_layer<float, Bf16>();
  add_layer<Bf16, float>();
}
