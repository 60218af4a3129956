#pragma once

// Registers a kernel of kernels/cuda for the devices of the build at hand: by nvcc for CUDA
// devices, by the host compiler for the emulated one. Lives in SIMT_NS, as both may be linked
// together.
#include <optional>
#include <string>

#include <apprentice/base/buffer.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/simt/simt.h>

namespace apprentice::kernels::SIMT_NS {

#if defined(SIMT_EMULATED)
inline constexpr Device::Kind kWhere = Device::Kind::emulated;
inline void use_device(int) {}
#else
inline constexpr Device::Kind kWhere = Device::Kind::cuda;
inline void use_device(int index) { simt::check_cuda(cudaSetDevice(index), "cudaSetDevice"); }
#endif

/// Family "cuda", named <op>_<types>_cuda; `run` finds its device current.
template <class Op>
void add_cuda_kernel(std::function<void(const typename Op::Args&, Stream)> run,
                     std::string (*refuse)(const typename Op::Args&), int priority) {
  kernel_table<Op>().add({.name = fmt::format("{}_{}_{}", Op::name, Op::types, name_of(kWhere)),
                          .family = "cuda",
                          .priority = priority,
                          .refuse = refuse,
                          .run =
                              [run](const typename Op::Args& args, Stream stream) {
                                use_device(stream.device.index);
                                run(args, stream);
                              },
                          .where = kWhere});
}

/// `refuse` says why not, or ""; null never refuses.
template <class Op>
void add_cuda(void (*run)(const typename Op::Args&, simt::Stream),
              std::string (*refuse)(const typename Op::Args&) = nullptr, int priority = 10) {
  add_cuda_kernel<Op>([run](const typename Op::Args& args,
                            Stream stream) { run(args, static_cast<simt::Stream>(stream.handle)); },
                      refuse, priority);
}

/// The same for a launcher that needs memory: scratch_bytes(args) of the stream's, for as long as
/// the stream works on it; null if that is 0.
template <class Op>
void add_cuda_with_scratch(void (*run)(const typename Op::Args&, void* scratch, simt::Stream),
                           size_t (*scratch_bytes)(const typename Op::Args&),
                           std::string (*refuse)(const typename Op::Args&) = nullptr,
                           int priority = 10) {
  add_cuda_kernel<Op>(
      [run, scratch_bytes](const typename Op::Args& args, Stream stream) {
        const StreamGuard owner(stream);
        std::optional<Buffer> scratch;
        if (const size_t bytes = scratch_bytes(args)) scratch.emplace(bytes, stream.device);
        run(args, scratch ? scratch->data() : nullptr, static_cast<simt::Stream>(stream.handle));
      },
      refuse, priority);
}

}  // namespace apprentice::kernels::SIMT_NS
