#pragma once

#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/lowbit_fragments.h>

namespace apprentice::kernels::SIMT_NS {

/// The weights, whose codes lie on the host, as fragments on the thread's current device.
template <class Op>
std::shared_ptr<const Prepacked> prepack_fragments(const typename Op::Args& args) {
  const Device device = current_device();
  check<DeviceError>(device.kind == kWhere,
                     "{}: weights are prepacked for device {}, expected one of kind {}", Op::name,
                     device.str(), name_of(kWhere));
  const std::vector<uint32_t> words = make_fragments(args.weight);
  const auto memory = std::make_shared<Buffer>(4 * words.size(), device);
  copy_bytes(memory->data(), device, words.data(), Device{}, memory->bytes(),
             current_stream(device));
  return std::make_shared<LowbitFragments>(
      FragmentLayout{args.weight.rows, args.weight.cols}, int64_t(memory->bytes()),
      std::shared_ptr<const uint32_t>(memory, static_cast<const uint32_t*>(memory->data())));
}

/// Registers a kernel of Op on fragments. Without prepacked weights it makes them for the one run.
template <class Op>
void add_lowbit(void (*run)(const typename Op::Args&, simt::Stream),
                std::string (*refuse)(const typename Op::Args&)) {
  const auto launch = [run](const typename Op::Args& args, Stream stream) {
    use_device(stream.device.index);
    const auto native = static_cast<simt::Stream>(stream.handle);
    if (args.prepacked) return run(args, native);
    const DeviceGuard device(stream.device);
    const StreamGuard queue(stream);
    const std::shared_ptr<const Prepacked> prepacked = prepack_fragments<Op>(args);
    auto own = args;
    own.prepacked = prepacked.get();
    run(own, native);
  };
  kernel_table<Op>().add({.name = fmt::format("{}_{}_{}_mma", Op::name, Op::types, name_of(kWhere)),
                          .family = "cuda",
                          .priority = 10,
                          .refuse = refuse,
                          .run = launch,
                          .prepack = prepack_fragments<Op>,
                          .where = kWhere});
}

}  // namespace apprentice::kernels::SIMT_NS
