#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/vendor_internal.h>

namespace apprentice::kernels::dense {

std::string cudnn_status() { return APPRENTICE_CUDNN_STATUS; }
std::string cudnn_problem() { return "built without cuDNN, " + cudnn_status(); }

void cudnn_convolve(const ConvProblem&, const ConvMemory&, Stream) {
  throw DeviceError(cudnn_problem());
}

}  // namespace apprentice::kernels::dense
