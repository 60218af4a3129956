#pragma once

#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/pinned.h>
#include <apprentice/base/stream.h>
#include <apprentice/packed/schedule_internal.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {

/// One forward: images in, logits out.
struct Batch {
  View4<const float> x;
  View2<float> logits;
  Stream stream;                           ///< of the network's device
  bool on_host = true;                     ///< x and logits are the host's, not the device's
  int64_t first_image = 0;                 ///< what traces call the first of x
  const Trace* trace = nullptr;            ///< null: nobody listens
  std::vector<double>* seconds = nullptr;  ///< by layer, added to; null: nobody asks
};

/// Hears when each layer begins and ends.
class LayerClock {
 public:
  virtual ~LayerClock() = default;
  virtual void begin(size_t layer) = 0;
  virtual void end(size_t layer) = 0;
};

/// Steps in the order of computation and the memory between them, which is that of one device. On
/// the CPU threads take chunks of images through the whole network, each in an arena of its own;
/// where there are fewer images than threads, or somebody listens, they share each layer instead:
/// in one parallel region as a team, if the kernels of all layers can. Other devices take all
/// images that an arena holds through each layer at once.
///
/// All memory of another device is of its default queue, as this lives longer than any other
/// stream: the stream of a forward and the default queue wait for one another where they differ.
class Executor {
 public:
  /// `arena_bytes`: as PackedNetwork::Options has it.
  Executor(Device device, int64_t arena_bytes) : device_(device), arena_bytes_(arena_bytes) {}
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// `x_of`, `residual_of`: the step that makes what this one reads; -1: the image, or none.
  void add(std::unique_ptr<Step> step, int x_of, int residual_of);
  const std::vector<std::unique_ptr<Step>>& steps() const { return steps_; }
  Device device() const { return device_; }

  /// How up to `images` go through the network; a chunk holds no more than `kChunkImages` on the
  /// CPU, elsewhere no more than `arena_bytes`.
  Schedule schedule(int64_t images) const;
  /// Allocates only where a batch is larger than those before it. Waits for the device only where
  /// x and logits are the host's, and then once.
  void run(const Batch& batch, int threads);
  /// To be called once all steps are there: forwards come after the work that made them.
  void finish();

  /// Images of a chunk: enough that reading the weights of a layer is little beside using them.
  static constexpr int64_t kChunkImages = 8;
  /// The same with a trace.
  static constexpr int64_t kTraceImages = 16;

 private:
  struct Arena {
    Schedule schedule;
    std::unique_ptr<Buffer> memory;
    void reserve(Schedule wanted, Device device);
  };
  /// What a forward on a device needs to take images from the host and to hand it logits.
  struct Staging {
    int64_t images = 0;                               ///< that there is room for
    std::unique_ptr<PinnedBuffer> x, logits;          ///< of all of them
    std::unique_ptr<Buffer> device_x, device_logits;  ///< of a chunk; of all of them
  };

  void run_traced(const Batch& batch);
  void run_together(const Batch& batch, int threads, int64_t chunk) const;
  void run_apart(const Batch& batch, int threads, int64_t chunk);
  void run_chunk(const Arena& arena, const Batch& batch, int64_t first, int64_t images,
                 LayerClock* clock) const;

  void run_on_device(const Batch& batch);
  void reserve_on_device(int64_t images);
  void reserve_staging(const Batch& batch);
  Batch send_images(const Batch& batch, int64_t first, int64_t images) const;
  void fetch_logits(const Batch& batch) const;

  Device device_;
  int64_t arena_bytes_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<LayerWork> work_;
  bool team_ = true;           ///< the kernels of all steps may be run by a team
  std::vector<Arena> arenas_;  ///< one a thread
  Arena traced_;

  int64_t reserved_ = 0;  ///< images of the largest batch that another device had
  Staging staging_;
  std::unique_ptr<StreamEvent> past_;  ///< the last forward, or change of memory, of that device
  Stream last_;                        ///< where that was
};

}  // namespace apprentice::packed
