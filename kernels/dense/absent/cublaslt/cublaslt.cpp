#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/vendor_internal.h>

namespace apprentice::kernels::dense {

std::string cublaslt_status() { return APPRENTICE_CUBLASLT_STATUS; }
std::string cublaslt_problem() { return "built without cuBLASLt, " + cublaslt_status(); }

void cublaslt_multiply(const GemmProblem&, const GemmMemory&, Stream) {
  throw DeviceError(cublaslt_problem());
}

}  // namespace apprentice::kernels::dense
