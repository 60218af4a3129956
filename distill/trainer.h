#pragma once

#include <memory>
#include <string>

#include <apprentice/base/device.h>
#include <apprentice/data/loader.h>
#include <apprentice/distill/event.h>
#include <apprentice/distill/method.h>
#include <apprentice/distill/metrics.h>
#include <apprentice/distill/recipe.h>
#include <apprentice/distill/stop.h>
#include <apprentice/quant/pack.h>

namespace apprentice::distill {

/// What a trainer works on. Networks are ready: first weights in, quantizers attached, calibrated.
struct TrainerParts {
  Recipe recipe;
  std::shared_ptr<nn::TensorModule> student;
  std::shared_ptr<nn::TensorModule> teacher;  ///< null: none
  std::shared_ptr<Teacher> teacher_logits;    ///< of a frozen teacher, in place of `teacher`
  std::shared_ptr<const data::ImageSet> train, test;
  quant::ModelInfo student_info, teacher_info;  ///< metadata of their files
};

struct TrainerOptions {
  std::string output;      ///< the run folder
  bool resume = false;     ///< go on from its last checkpoint
  bool fall_back = false;  ///< resume from an older checkpoint if the last one is damaged
  Listener listener;
  StopRequest stop_requested;  ///< may be empty
  Device device = {};          ///< where the networks are trained
  /// On another device than the CPU: records a step once and launches it from then on, if the
  /// method's steps can be. The numbers are the same. Hooks of gradients (Tensor::on_grad_ready)
  /// are not called by launches.
  bool graph = true;
};

/// The batches of a run: shuffled by its seed, all images, augmented.
data::LoaderOptions loader_options(const Recipe& recipe);

/// How a run ended.
struct TrainResult {
  Metrics test;          ///< after the last epoch
  double best_top1 = 0;  ///< percent, over all epochs
  int64_t steps = 0;
  int64_t recorded_steps = 0;     ///< of this process, that were launched as a graph
  double train_images_per_s = 0;  ///< over the steps of this process
  std::string checkpoint;         ///< path of the last one
};

/// Owns all of a run but the step itself: batches, schedule, optimizers, metrics, logs,
/// checkpoints, resuming and stopping. Writes the run folder (RunFolder).
///
/// One SGD per trained network, all on the same schedule, which is evaluated at each step. After
/// each epoch the test split is evaluated and a checkpoint saved. A resumed run makes the same
/// weights and log lines ("train", "eval", "quant" and "warning", but for `ts` and rates), bit for
/// bit, as one that was never interrupted.
///
/// On another device than the CPU a step is given to the device and not waited for: the host looks
/// at losses and gradients where a line is written or a checkpoint saved, and only then is a number
/// that is not finite noticed. The networks of the parts are moved there and stay.
///
/// On a GPU "bit for bit" asks for the same algorithms of its libraries: the same plan cache, or
/// the choice without timing (dense/plans/plan_cache.h).
///
/// Throws Stopped when asked to stop (checkpoint saved); CheckFailed naming the step, or the first
/// and last since the host looked, and the last good checkpoint if the loss, a gradient or a weight
/// is not finite; CannotCreate if the folder is taken; ConfigError if a run to resume had another
/// recipe; DamagedFile for a damaged checkpoint; IoError when saving fails, with the earlier
/// checkpoint intact.
TrainResult train(const TrainerParts& parts, const TrainerOptions& options);

}  // namespace apprentice::distill
