#include <apprentice/distill/resume.h>

#include <filesystem>

#include <apprentice/base/error.h>
#include <apprentice/base/text.h>
#include <apprentice/distill/checkpoint.h>
#include <apprentice/distill/run_folder.h>

namespace apprentice::distill {

std::string resume_point(const TrainerOptions& options) {
  if (!options.resume) {
    RunFolder::check_new(options.output);
    return "";
  }
  check<MissingInput>(std::filesystem::exists(options.output + "/recipe.toml"),
                      "{}: holds no run to resume: recipe.toml is not there", options.output);
  const Checkpoints checkpoints(options.output + "/checkpoints");
  const std::string last = checkpoints.last();
  if (last.empty()) return "";
  if (options.fall_back) return newest_intact(checkpoints);
  verify_checkpoint(last);
  return last;
}

void check_same_run(const std::string& output, const Recipe& recipe) {
  const Recipe there = load_recipe(output + "/recipe.toml");
  if (recipe_hash(there) == recipe_hash(recipe)) return;
  throw ConfigError(fmt::format("{}: the run to resume has another recipe: {}", output,
                                join(recipe_differences(there, recipe), "; ")));
}

}  // namespace apprentice::distill
