#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <apprentice/distill/trainer.h>

namespace apprentice::distill {

/// Makes an untrained network: `arch` is a registered name, `seed` that of its first weights.
/// ConfigError for a name that is not known. `models` provides one; this room names no network.
using NetworkFactory = std::function<std::shared_ptr<nn::TensorModule>(
    const std::string& arch, int64_t classes, uint64_t seed)>;

struct RunOptions {
  TrainerOptions trainer;
  std::vector<std::string> data_roots;  ///< where names are sought first
  NetworkFactory make_model;
};

/// A recipe from start to end: finds data and weights, makes the networks, quantizes and calibrates
/// the student, trains, and leaves the run folder. Errors as train(), and those of what it loads.
TrainResult run_recipe(const Recipe& recipe, const RunOptions& options);

/// Runs the recipe's teacher over its augmented training images, `epochs` times in the order of the
/// run, and stores the logits for `teacher.logits`.
void store_logits(const Recipe& recipe, const RunOptions& options, const std::string& path);

}  // namespace apprentice::distill
