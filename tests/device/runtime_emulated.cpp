#include <apprentice/base/runtime.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/simt/simt.h>

#include <cstring>

namespace apprentice {
namespace {

/// The host as a device: memory with guards, and one queue whose work is done when it is given.
class EmulatedRuntime final : public Runtime {
 public:
  int device_count() override { return 1; }
  std::string status() override { return "the SIMT emulator"; }
  std::string refuse(int) override { return ""; }
  Memory memory(int) override { return {kBytes, kBytes}; }
  void* allocate(int, size_t bytes) override { return simt::device_alloc(bytes); }
  void free(int, void* data) override { simt::device_free(data); }
  void* allocate_pinned(size_t bytes) override { return ::operator new(bytes); }

  void copy_to_device(void* to, const void* from, size_t bytes, Stream) override {
    std::memcpy(to, from, bytes);
  }
  void copy_to_host(void* to, const void* from, size_t bytes, Stream) override {
    std::memcpy(to, from, bytes);
  }
  void copy_on_device(void* to, const void* from, size_t bytes, Stream) override {
    std::memmove(to, from, bytes);
  }
  void fill(void* to, unsigned char value, size_t bytes, Stream) override {
    std::memset(to, value, bytes);
  }

  void* create_stream(int) override { return this; }
  void destroy_stream(Stream) override {}
  void synchronize(Stream) override {}
  void* create_event(int) override { return this; }
  void destroy_event(int, void*) override {}
  void record(void*, Stream) override {}
  void wait(Stream, void*) override {}
  bool is_done(void*) override { return true; }
  double milliseconds(void*, void*) override { return 0; }

 private:
  static constexpr size_t kBytes = size_t(1) << 30;
};

}  // namespace
}  // namespace apprentice

APPRENTICE_UNIT(runtime_emulated) {
  apprentice::set_runtime(apprentice::Device::Kind::emulated,
                          std::make_unique<apprentice::EmulatedRuntime>());
}
