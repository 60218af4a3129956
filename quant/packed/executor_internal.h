#pragma once

#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/packed/schedule_internal.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {

/// One forward: images in, logits out.
struct Batch {
  View4<const float> x;
  View2<float> logits;
  const Trace* trace = nullptr;            ///< null: nobody listens
  std::vector<double>* seconds = nullptr;  ///< by layer, added to; null: nobody asks
};

/// Steps in the order of computation and the memory between them. Threads take chunks of images
/// through the whole network, each in an arena of its own; where there are fewer images than
/// threads, or somebody listens, they share each layer instead: in one parallel region as a team,
/// if the kernels of all layers can.
class Executor {
 public:
  /// `x_of`, `residual_of`: the step that makes what this one reads; -1: the image, or none.
  void add(std::unique_ptr<Step> step, int x_of, int residual_of);
  const std::vector<std::unique_ptr<Step>>& steps() const { return steps_; }

  /// How up to `images` go through the network; a chunk holds no more than `kChunkImages`.
  Schedule schedule(int64_t images) const;
  /// Allocates only where a batch is larger than those before it.
  void run(const Batch& batch, int threads);

  /// Images of a chunk: enough that reading the weights of a layer is little beside using them.
  static constexpr int64_t kChunkImages = 8;

 private:
  struct Arena {
    Schedule schedule;
    std::unique_ptr<Buffer> memory;
    void reserve(Schedule wanted);
  };

  void run_traced(const Batch& batch);
  void run_together(const Batch& batch, int threads, int64_t chunk) const;
  void run_apart(const Batch& batch, int threads, int64_t chunk);
  void run_chunk(const Arena& arena, const Batch& batch, int64_t first, int64_t images,
                 double* seconds) const;

  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<LayerWork> work_;
  bool team_ = true;           ///< the kernels of all steps may be run by a team
  std::vector<Arena> arenas_;  ///< one a thread
  Arena traced_;
};

}  // namespace apprentice::packed
