#pragma once

#include <memory>

#include <apprentice/base/buffer.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/packed/packed_network.h>

namespace apprentice::packed {

/// One activation of the network: an image of f32, a map of u8 codes, or a row of f32 values.
struct Activation {
  int64_t height = 1, width = 1, channels = 0;
  bool codes = false;
  int32_t max_code = 255;   ///< codes: the largest there is
  bool zero_point = false;  ///< codes: signed, so 0 is not "nothing"

  int64_t numel() const { return height * width * channels; }
  int64_t bytes() const { return numel() * (codes ? 1 : int64_t(sizeof(float))); }
  template <class T>
  View4<T> view(void* memory, int64_t images) const {
    return {static_cast<T*>(memory), {images, height, width, channels}};
  }
};

/// Some images on their way through the network; memory of one layer's activations.
struct Chunk {
  int64_t first = 0, images = 0;
  void *x = nullptr, *residual = nullptr, *y = nullptr;
  Stream stream;                 ///< of the network's device, which takes the work
  const Trace* trace = nullptr;  ///< null: nobody listens
};

/// Numbers in the memory of a network's device, where its kernels read them.
class Numbers {
 public:
  Numbers() = default;
  /// The copy is made in the order of the device's current stream.
  Numbers(const std::vector<float>& values, Device device);

  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * int64_t(sizeof(float)); }
  /// Null if there are none.
  const float* data() const {
    return memory_ ? static_cast<const float*>(memory_->data()) : nullptr;
  }
  View1<const float> view() const { return {data(), {size_}}; }

 private:
  std::unique_ptr<Buffer> memory_;
  int64_t size_ = 0;
};

/// One layer, ready to run: kernel chosen, weights prepacked.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run(const Chunk& chunk) const = 0;

  Layer layer;
  LayerInfo info;
  Activation x, residual, y;
  int64_t memory = 0;  ///< bytes of weights and constants
  bool team = false;   ///< its kernel may be run by a team of threads
};

using Options = PackedNetwork::Options;

/// The step of a layer that reads `x` (and `residual`), with its weights in the memory of
/// `options.device`, which is current. DamagedFile naming file, layer and tensor.
std::unique_ptr<Step> make_stem(const SafetensorsFile& file, const Layer& layer,
                                const Activation& x, const Options& options);
std::unique_ptr<Step> make_conv(const SafetensorsFile& file, const Layer& layer,
                                const Activation& x, const Activation& residual,
                                const Options& options);
std::unique_ptr<Step> make_max_pool(const SafetensorsFile& file, const Layer& layer,
                                    const Activation& x, const Options& options);
std::unique_ptr<Step> make_global_pool(const Layer& layer, const Activation& x,
                                       const Options& options);
std::unique_ptr<Step> make_linear(const SafetensorsFile& file, const Layer& layer,
                                  const Activation& x, const Options& options);

/// The tensor `layer.suffix` as f32 of this shape, all finite; adds to what `info` counts.
std::vector<float> read_floats(const SafetensorsFile& file, Step& step, const std::string& suffix,
                               const Shape& shape);
/// The f32 constants of the epilogue; `two_step` has a_neg too.
struct Constants {
  Numbers a, a_negative, b;
  kernels::Epilogue epilogue(const Layer& layer) const;
};
Constants read_constants(const SafetensorsFile& file, Step& step, Device device, bool two_step);
/// Hands out what the layer's kernels made of a chunk, if somebody listens: on the host, once the
/// device has made it.
void hand_out(const Chunk& chunk, const Layer& layer, LayerTrace made);
/// The map that a layer's windows over x give, of x's channels. DamagedFile if none fits.
Activation window_map(const SafetensorsFile& file, const Layer& layer, const Activation& x);
/// Output map of a stem or conv; DamagedFile if the window does not fit or channels disagree.
Activation output_map(const SafetensorsFile& file, const Layer& layer, const Activation& x);
kernels::Conv2dGeometry geometry_of(const Layer& layer);

/// The device's kernel that `options` give for `args`, noted in the step with the refusals on the
/// way. An operation that no kernel of the preferred family computes at all takes its best one.
/// DeviceError naming the layer if none takes it.
template <class Op>
const kernels::Kernel<Op>& choose(const typename Op::Args& args, const Options& options,
                                  Step& step) {
  LayerInfo& info = step.info;
  const auto& table = kernels::kernel_table<Op>();
  const Device::Kind where = options.device.kind;
  kernels::Preference wanted;
  for (const auto& kernel : table.kernels(where)) {
    if (kernel.family == options.kernels.family) wanted = options.kernels;
  }
  const auto& chosen = [&]() -> const kernels::Kernel<Op>& {
    try {
      return table.select(args, wanted, where);
    } catch (const DeviceError& error) {
      throw DeviceError(fmt::format("layer '{}': {}", step.layer.name, error.what()));
    }
  }();
  info.kernel = chosen.name;
  info.family = chosen.family;
  step.team = chosen.team;
  for (const auto& kernel : table.kernels(where)) {
    if (&kernel == &chosen) break;
    std::string reason = kernel.refuse ? kernel.refuse(args) : "";
    if (reason.empty() && kernel.yield) reason = kernel.yield(args);
    if (reason.empty()) reason = fmt::format("family '{}' is preferred", wanted.family);
    info.refusals.push_back({kernel.name, std::move(reason)});
  }
  return chosen;
}

/// What the kernel makes of the weights in `args`, if it packs them at all; the step counts it.
template <class Op>
std::shared_ptr<const kernels::Prepacked> prepack(const kernels::Kernel<Op>& kernel,
                                                  const typename Op::Args& args, Step& step) {
  if (!kernel.prepack) return nullptr;
  auto packed = kernel.prepack(args);
  step.memory += packed->bytes();
  return packed;
}

}  // namespace apprentice::packed
