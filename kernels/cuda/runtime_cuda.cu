// The runtime of Device::Kind::cuda on the CUDA runtime library. Calls that need a device set the
// thread's first, as the library keeps one a thread; questions to an event and the end of a failed
// recording go by their handle. Streams and events of ours are the library's handles.
#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/simt/device/launch.h>

namespace apprentice::kernels {

namespace {

/// Only there to be asked whether the device at hand has code of it.
__global__ void probe() {}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

cudaStream_t native(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }
cudaEvent_t native(void* event) { return static_cast<cudaEvent_t>(event); }

void use(int device) { simt::check_cuda(cudaSetDevice(device), "cudaSetDevice"); }

class CudaRuntime final : public Runtime {
 public:
  int device_count() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();  // the library keeps the error for the next who asks
    return 0;
  }

  std::string status() override {
    int count = 0, driver = 0, built = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    cudaGetLastError();
    simt::check_cuda(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    simt::check_cuda(cudaRuntimeGetVersion(&built), "cudaRuntimeGetVersion");
    if (driver == 0) return "no CUDA device: no driver is installed";
    if (error == cudaErrorInsufficientDriver)
      return fmt::format("no CUDA device: the driver is for CUDA {}, this build needs {}",
                         version_text(driver), version_text(built));
    if (error != cudaSuccess) return std::string("no CUDA device: ") + cudaGetErrorString(error);
    std::string devices = count ? "" : "no CUDA device";
    for (int i = 0; i < count; ++i) {
      cudaDeviceProp p;
      simt::check_cuda(cudaGetDeviceProperties(&p, i), "cudaGetDeviceProperties");
      devices += fmt::format("{}cuda:{} {}, {} MiB, compute capability {}.{}", i ? "; " : "", i,
                             p.name, p.totalGlobalMem >> 20, p.major, p.minor);
    }
    return devices;
  }

  std::string refuse(int device) override {
    use(device);
    cudaFuncAttributes attributes;
    const cudaError_t error = cudaFuncGetAttributes(&attributes, probe);
    if (error == cudaSuccess) return "";
    cudaGetLastError();
    if (error != cudaErrorNoKernelImageForDevice && error != cudaErrorInvalidDeviceFunction)
      return cudaGetErrorString(error);
    int major = 0, minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    return fmt::format("compute capability {}.{}, for which this build has no code ({})", major,
                       minor, APPRENTICE_CUDA_ARCHITECTURES);
  }

  Memory memory(int device) override {
    use(device);
    Memory memory{};
    simt::check_cuda(cudaMemGetInfo(&memory.free, &memory.total), "cudaMemGetInfo");
    return memory;
  }

  void* allocate(int device, size_t bytes) override {
    use(device);
    void* data = nullptr;
    return or_null(cudaMalloc(&data, bytes), "cudaMalloc") ? data : nullptr;
  }
  void free(int device, void* data) override {
    use(device);
    simt::check_cuda(cudaFree(data), "cudaFree");
  }
  void* allocate_pinned(int device, size_t bytes) override {
    use(device);
    void* data = nullptr;
    return or_null(cudaMallocHost(&data, bytes), "cudaMallocHost") ? data : nullptr;
  }

  void copy_to_device(void* to, const void* from, size_t bytes, Stream stream) override {
    copy(to, from, bytes, cudaMemcpyHostToDevice, stream);
  }
  void copy_to_host(void* to, const void* from, size_t bytes, Stream stream) override {
    copy(to, from, bytes, cudaMemcpyDeviceToHost, stream);
  }
  void copy_on_device(void* to, const void* from, size_t bytes, Stream stream) override {
    copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
  }
  void fill(void* to, unsigned char value, size_t bytes, Stream stream) override {
    use(stream.device.index);
    simt::check_cuda(cudaMemsetAsync(to, value, bytes, native(stream)), "cudaMemsetAsync");
  }

  void* create_stream(int device) override {
    use(device);
    cudaStream_t stream = nullptr;
    simt::check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    return stream;
  }
  void destroy_stream(Stream stream) override {
    use(stream.device.index);
    simt::check_cuda(cudaStreamDestroy(native(stream)), "cudaStreamDestroy");
  }
  void synchronize(Stream stream) override {
    use(stream.device.index);
    simt::check_cuda(cudaStreamSynchronize(native(stream)), "cudaStreamSynchronize");
  }

  void* create_event(int device) override {
    use(device);
    cudaEvent_t event = nullptr;
    simt::check_cuda(cudaEventCreate(&event), "cudaEventCreate");
    return event;
  }
  void destroy_event(int device, void* event) override {
    use(device);
    simt::check_cuda(cudaEventDestroy(native(event)), "cudaEventDestroy");
  }
  void record(void* event, Stream stream) override {
    use(stream.device.index);
    simt::check_cuda(cudaEventRecord(native(event), native(stream)), "cudaEventRecord");
  }
  void wait(Stream stream, void* event) override {
    use(stream.device.index);
    simt::check_cuda(cudaStreamWaitEvent(native(stream), native(event)), "cudaStreamWaitEvent");
  }
  bool is_done(void* event) override {
    const cudaError_t error = cudaEventQuery(native(event));
    if (error == cudaErrorNotReady) return false;
    simt::check_cuda(error, "cudaEventQuery");
    return true;
  }
  double milliseconds(void* begin, void* end) override {
    float ms = 0;
    simt::check_cuda(cudaEventElapsedTime(&ms, native(begin), native(end)), "cudaEventElapsedTime");
    return double(ms);
  }

  // Relaxed: while it records, the allocator may ask for memory and other threads for anything.
  void begin_recording(Stream stream) override {
    use(stream.device.index);
    simt::check_cuda(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeRelaxed),
                     "cudaStreamBeginCapture");
  }
  void* end_recording(Stream stream) override {
    use(stream.device.index);
    cudaGraph_t graph = nullptr;
    simt::check_cuda(cudaStreamEndCapture(native(stream), &graph), "cudaStreamEndCapture");
    cudaGraphExec_t recorded = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&recorded, graph, 0);
    cudaGraphDestroy(graph);
    simt::check_cuda(error, "cudaGraphInstantiate");
    return recorded;
  }
  void abandon_recording(Stream stream) noexcept override {
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(native(stream), &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();  // what went wrong is on its way already
  }
  void launch_recorded(void* recorded, Stream stream) override {
    use(stream.device.index);
    simt::check_cuda(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recorded), native(stream)),
                     "cudaGraphLaunch");
  }
  void destroy_recorded(int device, void* recorded) override {
    use(device);
    simt::check_cuda(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(recorded)),
                     "cudaGraphExecDestroy");
  }

 private:
  /// False if the device has no memory, which is no error here.
  static bool or_null(cudaError_t result, const char* call) {
    if (result == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return false;
    }
    simt::check_cuda(result, call);
    return true;
  }

  static void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, Stream stream) {
    use(stream.device.index);
    simt::check_cuda(cudaMemcpyAsync(to, from, bytes, kind, native(stream)), "cudaMemcpyAsync");
  }
};

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(runtime_cuda) {
  apprentice::set_runtime(apprentice::Device::Kind::cuda,
                          std::make_unique<apprentice::kernels::CudaRuntime>());
}
