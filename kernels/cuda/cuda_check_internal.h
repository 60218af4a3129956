#pragma once

#include <cuda_runtime_api.h>

namespace apprentice::kernels {

/// DeviceError "cuda: CALL: MESSAGE (cudaErrorName)" unless `result` is success. `call` says which
/// function, or which kernel was launched.
void cuda_check(cudaError_t result, const char* call);

}  // namespace apprentice::kernels
