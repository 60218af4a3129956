#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/loss.cuh>

APPRENTICE_UNIT(loss_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<SoftmaxCrossEntropy<float>>(SIMT_NS::softmax_cross_entropy);
  SIMT_NS::add_cuda<KlDivergence<float>>(SIMT_NS::kl_divergence);
  SIMT_NS::add_cuda<CosineLoss<float>>(SIMT_NS::cosine_loss);
  SIMT_NS::add_cuda<SquaredError<float>>(SIMT_NS::squared_error);
}
