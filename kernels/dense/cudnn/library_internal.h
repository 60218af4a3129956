#pragma once

#include <cudnn.h>

#include <string>

namespace apprentice::kernels::dense {

/// The functions of cuDNN's graph API that we call; all null where `problem` says why.
struct Cudnn {
  decltype(&::cudnnGetVersion) version = nullptr;
  decltype(&::cudnnGetErrorString) error_string = nullptr;
  decltype(&::cudnnGetLastErrorString) last_error_string = nullptr;
  decltype(&::cudnnCreate) create = nullptr;
  decltype(&::cudnnSetStream) set_stream = nullptr;
  decltype(&::cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&::cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&::cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&::cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&::cudnnBackendFinalize) finalize = nullptr;
  decltype(&::cudnnBackendExecute) execute = nullptr;

  std::string problem;  ///< why it cannot be used, or ""
  std::string path;     ///< the file that it was loaded from, or ""
};

/// Loaded at the first call.
const Cudnn& cudnn();
/// DeviceError with the call, cuDNN's name of the status and its last message, unless it succeeded.
void check_cudnn(cudnnStatus_t status, const char* call);

}  // namespace apprentice::kernels::dense
