#pragma once

#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/lowbit_fragments.h>

namespace apprentice::kernels::SIMT_NS {

/// The weights, whose codes lie on the host, as fragments on the stream's device, in its order.
template <class Op>
std::shared_ptr<const Prepacked> upload_fragments(const typename Op::Args& args, Stream stream) {
  const DeviceGuard device(stream.device);
  const StreamGuard queue(stream);  // whose order the memory is freed in
  const std::vector<uint32_t> words = make_fragments(args.weight);
  const size_t bytes = 4 * words.size();
  const auto memory = std::make_shared<Buffer>(bytes, stream.device);
  copy_bytes(memory->data(), stream.device, words.data(), Device{}, bytes, stream);
  return std::make_shared<LowbitFragments>(
      FragmentLayout{args.weight.rows, args.weight.cols}, int64_t(bytes),
      std::shared_ptr<const uint32_t>(memory, static_cast<const uint32_t*>(memory->data())));
}

/// The same on the thread's current device, there for all its streams. DeviceError if that is of
/// another kind.
template <class Op>
std::shared_ptr<const Prepacked> prepack_fragments(const typename Op::Args& args) {
  const Device device = current_device();
  check<DeviceError>(device.kind == kWhere,
                     "{}: weights are prepacked for the current device, {}, expected one of {}",
                     Op::name, device.str(), name_of(kWhere));
  const Stream stream = current_stream(device);
  std::shared_ptr<const Prepacked> made = upload_fragments<Op>(args, stream);
  synchronize(stream);
  return made;
}

/// Registers a kernel of Op on fragments. Without prepacked weights it makes them for the one run.
template <class Op>
void add_lowbit(void (*run)(const typename Op::Args&, simt::Stream),
                std::string (*refuse)(const typename Op::Args&)) {
  const auto launch = [run](const typename Op::Args& args, Stream stream) {
    use_device(stream.device.index);
    const auto native = static_cast<simt::Stream>(stream.handle);
    if (args.prepacked) return run(args, native);
    const std::shared_ptr<const Prepacked> prepacked = upload_fragments<Op>(args, stream);
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
