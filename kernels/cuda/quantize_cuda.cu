#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/quantize.cuh>

APPRENTICE_UNIT(quantize_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda<QuantizeUniform<float>>(quantize_uniform);
  add_cuda<QuantizeUniformBackward<float>>(quantize_uniform_backward);
  add_cuda<AbsStatistics<float>>(abs_statistics);
  add_cuda<Ternarize<float>>(ternarize);
  add_cuda<TrainedTernaryBackward<float>>(trained_ternary_backward);
}
