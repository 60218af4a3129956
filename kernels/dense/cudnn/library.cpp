#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cudnn/library_internal.h>
#include <apprentice/kernels/dense/vendor/shared_library_internal.h>
#include <apprentice/kernels/dense/vendor_libraries.h>

namespace apprentice::kernels::dense {
namespace {

Cudnn load() {
  SharedLibrary library{"libcudnn.so." + std::to_string(CUDNN_MAJOR), APPRENTICE_CUDNN_LIBRARY};
  Cudnn c;
  library.bind(c.version, "cudnnGetVersion");
  library.bind(c.error_string, "cudnnGetErrorString");
  library.bind(c.last_error_string, "cudnnGetLastErrorString");
  library.bind(c.create, "cudnnCreate");
  library.bind(c.set_stream, "cudnnSetStream");
  library.bind(c.create_descriptor, "cudnnBackendCreateDescriptor");
  library.bind(c.destroy_descriptor, "cudnnBackendDestroyDescriptor");
  library.bind(c.set_attribute, "cudnnBackendSetAttribute");
  library.bind(c.get_attribute, "cudnnBackendGetAttribute");
  library.bind(c.finalize, "cudnnBackendFinalize");
  library.bind(c.execute, "cudnnBackendExecute");
  c.path = library.path();
  if (library.problem().empty()) return c;
  Cudnn none;
  none.problem = "cuDNN cannot be loaded: " + library.problem();
  return none;
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn loaded = load();
  return loaded;
}

void check_cudnn(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char message[512] = "";
  cudnn().last_error_string(message, sizeof message);
  throw DeviceError(fmt::format("{}: {}{}{}", call, cudnn().error_string(status),
                                message[0] ? ": " : "", message));
}

std::string cudnn_problem() { return cudnn().problem; }

std::string cudnn_status() {
  const Cudnn& c = cudnn();
  if (!c.problem.empty()) return library_status(CUDNN_VERSION, c.problem);
  return library_status(CUDNN_VERSION, c.version(), c.path);
}

}  // namespace apprentice::kernels::dense
