#include <cuda_runtime_api.h>

#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
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

double milliseconds_of(Stream stream, void (*work)(void* of), void* of) {
  constexpr int kTimes = 4;  // so that the host's part of all but the first is hidden
  StreamEvent begin(stream.device), end(stream.device);
  begin.record(stream);
  for (int i = 0; i < kTimes; ++i) work(of);
  end.record(stream);
  synchronize(stream);
  return end.milliseconds_since(begin) / kTimes;
}

}  // namespace apprentice::kernels::dense
