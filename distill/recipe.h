#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <apprentice/quant/policy.h>

namespace apprentice::distill {

/// What a run is made of, as a TOML file says it: one member a table, one field a key. Every key
/// has the default that stands here, so a recipe names only what differs.
struct Recipe {
  struct Model {
    std::string arch = "resnet20";  ///< registered name of the network to train
    std::string init;  ///< file, checkpoint folder or name of its first weights; "": random
  } model;

  struct Teacher {
    std::string arch;     ///< "": as its weights file says
    std::string weights;  ///< file, checkpoint folder or name; "": none (scheme A trains it)
    std::string logits;   ///< stored logits to read instead of running the teacher; "": run it
  } teacher;

  struct Data {
    std::string name = "cifar10";           ///< name or path of the data set
    std::string augment = "shift_mirror";   ///< "shift_mirror" or "none"
    bool resident = true;                   ///< do the images lie on the run's device?
    std::string on_bad_sample = "replace";  ///< a damaged image is an "error", or "replace"d
    int64_t train_images = 0;               ///< the first so many images only; 0: all
    int64_t test_images = 0;
  } data;

  struct Quant {
    std::string weights = "none";      ///< registered weight quantizer, or "none"
    std::string activations = "none";  ///< registered activation quantizer, or "none"
    int64_t w_bits = 2;
    std::string granularity = "layer";  ///< weight scales: one a "layer" or one a "channel"
    int64_t a_bits = 8;
    std::vector<std::string> keep = {"conv1", "linear"};  ///< layers that stay full precision
    int64_t calibration_images = 1024;                    ///< what activation ranges are taken from
  } quant;

  struct Distill {
    std::string method = "none";  ///< registered method; "none": plain supervised training
    std::string scheme = "C";     ///< Apprentice: "A", "B" or "C"
    double alpha = 1, beta = 0.5, gamma = 0.5;
    double temperature = 1;
    bool teacher_receives_distill_grad = false;
    bool control = false;  ///< the same run without the teacher: beta * CE only, beta not rescaled
  } distill;

  struct Train {
    int64_t epochs = 1;
    int64_t batch = 128;
    double lr = 0.1;
    /// Registered schedule: "constant", "linear" or "cosine" to 0, "step" (a tenth at 1/2 and again
    /// at 3/4 of the run).
    std::string schedule = "cosine";
    int64_t warmup_steps = 0;  ///< steps of linear rise before it
    double momentum = 0.9;
    bool nesterov = false;
    double weight_decay = 1e-4;
    double label_smoothing = 0;
    /// To what convolutions and products of a step may round their factors, where the device has
    /// something to gain by it: "f32", "tf32" or "bf16". Weights, sums and all else are f32.
    std::string precision = "f32";
    int64_t seed = 0;
    int64_t workers = 1;  ///< threads that prepare batches; batches do not depend on it
    int64_t eval_batch = 256;
    int64_t log_every = 50;  ///< steps between lines of log.jsonl
    int64_t checkpoint_every =
        0;  ///< steps between checkpoints within an epoch; 0: at its end only
    int64_t keep_checkpoints = 2;  ///< the newest so many stay, and the best
  } train;
};

/// Reads a recipe and checks it. MissingInput without the file; ConfigError with file and line for
/// broken TOML, an unknown table or key (naming the nearest), a wrong type or an impossible value
/// (naming key, value and what is expected).
Recipe load_recipe(const std::string& path);
/// The same from text; `name` stands for the file in messages.
Recipe parse_recipe(const std::string& text, const std::string& name);
/// `--set table.key=value`, in TOML's notation; a string may stand without quotes. ConfigError as
/// above, naming the assignment. Rules between keys are left to check_recipe().
void apply_set(Recipe& recipe, const std::string& assignment);
/// The table [quant] as a policy.
quant::Policy policy_of(const Recipe& recipe);
/// Rules between keys, and registered names: a scheme without its teacher, scheme C without first
/// weights, bits that a quantizer does not take. ConfigError naming the keys.
void check_recipe(const Recipe& recipe);
/// The resolved recipe, every key with its value; parse_recipe() gives it back equal.
std::string to_toml(const Recipe& recipe);
/// XXH3-128, in hex, of all that the numbers of a run depend on: every key but those that say only
/// how it runs or reports (data.resident, train.workers, train.log_every, train.eval_batch,
/// train.keep_checkpoints, train.checkpoint_every).
std::string recipe_hash(const Recipe& recipe);
/// "train.lr: 0.1 there, 0.02 here" for each key of that kind that differs.
std::vector<std::string> recipe_differences(const Recipe& there, const Recipe& here);
/// All keys, "train.epochs" and so on, in the order of to_toml().
std::vector<std::string> recipe_keys();

}  // namespace apprentice::distill
