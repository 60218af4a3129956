#pragma once

#include <functional>

#include <apprentice/base/device.h>
#include <apprentice/data/batch.h>
#include <apprentice/data/dataset.h>
#include <apprentice/data/resident_set.h>
#include <apprentice/nn/module.h>

namespace apprentice::distill {

/// Rows of logits [n, classes] whose largest value (the first of equals) stands at the label, as
/// [1] f32 beside them.
Tensor correct_count(const Tensor& logits, const Tensor& labels);

/// Over a whole split.
struct Metrics {
  double loss = 0;  ///< mean over images of the cross-entropy against the label
  double top1 = 0;  ///< percent
  int64_t correct = 0;
  int64_t images = 0;
  double images_per_s = 0;
};

struct EvaluateOptions {
  int64_t batch = 256;
  int64_t images = 0;  ///< the first so many; 0: all
  Device device = {};  ///< where `forward` takes its images
  /// The set on that device, which makes the batches there; null: they are made here and copied.
  const data::ResidentSet* resident = nullptr;
  /// Called after each batch with its logits and the images done so far; false ends the evaluation.
  std::function<bool(const data::Batch& batch, const Tensor& logits, int64_t done)> on_batch;
};

/// Runs `forward` (images [n, h, w, c] -> logits) over the set in its order, without augmentation,
/// under NoGrad. The loss is summed in double. Error if the resident set is another one, or
/// elsewhere.
Metrics evaluate(const std::function<Tensor(const Tensor&)>& forward, const data::ImageSet& set,
                 const EvaluateOptions& options = {});
/// The same for a network, on its own device: put into eval mode for the time, and back into its
/// own after.
Metrics evaluate(nn::TensorModule& model, const data::ImageSet& set,
                 const EvaluateOptions& options = {});

}  // namespace apprentice::distill
