#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <apprentice/base/device.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/base/view.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/packed/description.h>

namespace apprentice::packed {

/// What one layer is and how it runs here, for `inspect`.
struct LayerInfo {
  std::string name, op;
  std::string stored;                      ///< "f32", "ternary", "ttq", "int4"; "" without weights
  int64_t weights = 0;                     ///< number of weights, bias included
  int64_t bytes = 0;                       ///< of its tensors in the file, constants included
  int64_t macs = 0;                        ///< multiply-accumulates an image, padding counted
  std::array<int64_t, 3> y{};              ///< its output: height, width, channels
  std::string kernel, family;              ///< chosen kernel
  std::vector<kernels::Refusal> refusals;  ///< kernels that declined on the way to it
};

/// What one layer computed for the images of one forward, on the host; absent views are empty.
/// Valid only during the call. Images are handed out in chunks: the first image of the views is
/// `first_image`.
struct LayerTrace {
  const Layer* layer = nullptr;
  int64_t first_image = 0;
  View4<const int32_t> acc, acc_negative;  ///< conv [n, p, q, out]; negative: TTQ
  View4<const float> sums;                 ///< stem [n, p, q, out]
  View4<const uint8_t> codes;              ///< stem, conv, max_pool [n, p, q, out]
  View2<const float> values;               ///< global_avg_pool, linear [n, out]
};
using Trace = std::function<void(const LayerTrace&)>;

/// Where a layer's output lies in an arena, and the layers [first, last] during which it does.
struct PlannedBlock {
  int64_t offset = 0, bytes = 0;
  size_t first = 0, last = 0;
};

/// A network that a packed file describes, run by low-bit kernels: integers from the stem to the
/// pooling, the same on every device, kernel, batch and thread count, so logits are equal bit for
/// bit (docs/numerics.md). Weights stay in the form the chosen kernel reads; activations lie in
/// arenas that are planned once, and no forward allocates unless its batch is larger than those
/// before it. All of this is memory of one device, the CPU or another. Runs one forward at a time.
class PackedNetwork {
 public:
  struct Options {
    kernels::Preference kernels = kernels::default_preference();
    int threads = 0;  ///< of a forward on the CPU; 0: omp_get_max_threads()
    Device device{};
    /// The most that activations take on a device other than the CPU, but for one image; larger
    /// batches go through the network in parts.
    int64_t arena_bytes = int64_t(1) << 30;
  };

  /// MissingInput, DamagedFile naming file, layer and tensor for all that does not fit; ConfigError
  /// for a weights-only file (32A), which `eval` decodes instead; DeviceError if the device is not
  /// there, has no memory left or no kernel for a layer, or if a kernel of a required family
  /// declines a layer, or no layer has one. An operation of which no kernel of that family exists
  /// (the stem under "vnni") takes its best.
  static PackedNetwork load(const std::string& path, const Options& options);
  static PackedNetwork load(const std::string& path) { return load(path, Options()); }
  static PackedNetwork load(const SafetensorsFile& file, const Options& options);

  PackedNetwork(PackedNetwork&&) noexcept;
  PackedNetwork& operator=(PackedNetwork&&) noexcept;
  ~PackedNetwork();

  /// x [n, height, width, channels] f32, normalised; logits [n, classes] f32, overwritten; both
  /// memory of the host. On another device than the CPU they go by way of pinned memory, the work
  /// goes to this thread's current stream, and the host waits for it once, at the end. With
  /// `trace`, every layer's results are handed out, layer by layer for each chunk of images, from
  /// this thread. ShapeError if the sizes do not fit.
  void forward(View4<const float> x, View2<float> logits, const Trace& trace = {});
  /// The same for x and logits in the memory of the stream's device. Gives the work to the stream
  /// and waits for nothing. DeviceError if that is not the network's device. A Graph (base/graph.h)
  /// may record it once a batch as large was there; its launches and forwards in other streams
  /// share the arena, and the caller keeps them apart.
  void enqueue(View4<const float> x, View2<float> logits, Stream stream);

  /// As `forward`, for measurements: adds to seconds[i] what layer i took, all threads that ran it
  /// apart from one another counted; on another device by its own clock. Grown to the number of
  /// layers.
  void profile(View4<const float> x, View2<float> logits, std::vector<double>& seconds);

  Device device() const;
  int64_t classes() const;
  const Description& description() const;
  const std::vector<LayerInfo>& layers() const;
  /// Of the file: "arch", "apprentice.quant", ...
  const std::map<std::string, std::string>& metadata() const;
  /// Bytes of the prepacked weights and constants in memory.
  int64_t weight_bytes() const;
  /// Bytes of the arena for activations that a thread, or another device, needs for a batch of
  /// `images`.
  int64_t activation_bytes(int64_t images) const;
  /// What lies where in it: [i] is the output of layer i. The last one is the caller's: 0 bytes.
  std::vector<PlannedBlock> memory_plan(int64_t images) const;

 private:
  struct State;
  explicit PackedNetwork(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace apprentice::packed
