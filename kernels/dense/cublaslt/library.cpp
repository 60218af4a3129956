#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cublaslt/library_internal.h>
#include <apprentice/kernels/dense/vendor/shared_library_internal.h>
#include <apprentice/kernels/dense/vendor_libraries.h>

namespace apprentice::kernels::dense {
namespace {

CublasLt load() {
  SharedLibrary library{"libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR),
                        APPRENTICE_CUBLASLT_LIBRARY};
  CublasLt c;
  library.bind(c.version, "cublasLtGetVersion");
  library.bind(c.status_name, "cublasLtGetStatusName");
  library.bind(c.create, "cublasLtCreate");
  library.bind(c.create_product, "cublasLtMatmulDescCreate");
  library.bind(c.destroy_product, "cublasLtMatmulDescDestroy");
  library.bind(c.set_product, "cublasLtMatmulDescSetAttribute");
  library.bind(c.create_layout, "cublasLtMatrixLayoutCreate");
  library.bind(c.destroy_layout, "cublasLtMatrixLayoutDestroy");
  library.bind(c.create_preference, "cublasLtMatmulPreferenceCreate");
  library.bind(c.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  library.bind(c.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  library.bind(c.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  library.bind(c.check_algorithm, "cublasLtMatmulAlgoCheck");
  library.bind(c.multiply, "cublasLtMatmul");
  c.path = library.path();
  if (library.problem().empty()) return c;
  CublasLt none;
  none.problem = "cuBLASLt cannot be loaded: " + library.problem();
  return none;
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt loaded = load();
  return loaded;
}

void check_cublas(cublasStatus_t status, const char* call) {
  check<DeviceError>(status == CUBLAS_STATUS_SUCCESS, "{}: {}", call,
                     cublaslt().status_name(status));
}

std::string cublaslt_problem() { return cublaslt().problem; }

std::string cublaslt_status() {
  const CublasLt& c = cublaslt();
  if (!c.problem.empty()) return library_status(CUBLAS_VERSION, c.problem);
  return library_status(CUBLAS_VERSION, c.version(), c.path);
}

}  // namespace apprentice::kernels::dense
