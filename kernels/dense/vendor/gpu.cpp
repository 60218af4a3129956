#include <cuda_runtime_api.h>

#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/dense/plans/timed_choice_internal.h>
#include <apprentice/kernels/dense/vendor/gpu_internal.h>

namespace apprentice::kernels::dense {
namespace {

void check_cuda(cudaError_t code, const char* call) {
  check<DeviceError>(code == cudaSuccess, "{}: {}", call, cudaGetErrorString(code));
}

}  // namespace

void use_gpu(int index) { check_cuda(cudaSetDevice(index), "cudaSetDevice"); }

std::string gpu_name(int index) {
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  return properties.name;
}

bool is_recorded(Stream stream) {
  auto status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(static_cast<cudaStream_t>(stream.handle), &status),
             "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

/// Other streams may have work of their own under way, say a teacher's: none runs beside what is
/// timed.
std::optional<size_t> fastest_in(Stream stream, size_t n, const std::function<void(size_t)>& run) {
  check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return fastest(n, [&](size_t candidate, int runs) {
    try {
      StreamEvent begin(stream.device), end(stream.device);
      begin.record(stream);
      for (int i = 0; i < runs; ++i) run(candidate);
      end.record(stream);
      synchronize(stream);
      return end.milliseconds_since(begin) / runs;
    } catch (const DeviceError&) {
      return kNever;
    }
  });
}

}  // namespace apprentice::kernels::dense
