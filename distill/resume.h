#pragma once

#include <string>

#include <apprentice/distill/recipe.h>
#include <apprentice/distill/trainer.h>

namespace apprentice::distill {

/// The checkpoint that train() would go on from, verified; "" where it would start anew: not
/// resuming, or the run ended before its first checkpoint. CannotCreate if a new run's folder is
/// taken, MissingInput if there is no run to resume, DamagedFile for a damaged checkpoint.
std::string resume_point(const TrainerOptions& options);

/// A run goes on by its own recipe, also one that was stopped before its first checkpoint:
/// ConfigError naming the keys that differ.
void check_same_run(const std::string& output, const Recipe& recipe);

}  // namespace apprentice::distill
