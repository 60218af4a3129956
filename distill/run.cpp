#include <apprentice/distill/resume.h>
#include <apprentice/distill/run.h>

#include <algorithm>
#include <numeric>

#include <apprentice/base/error.h>
#include <apprentice/base/text.h>
#include <apprentice/data/find.h>
#include <apprentice/data/loader.h>
#include <apprentice/distill/step_log_internal.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/prepare.h>

namespace apprentice::distill {

namespace {

constexpr int64_t kCalibrationBatch = 256;
/// Keeps an untrained teacher (scheme A) from beginning with the apprentice's own weights.
constexpr uint64_t kTeacherSeed = 0x7465616368657221;

/// Loads data and networks as a recipe names them.
class Maker {
 public:
  Maker(const Recipe& recipe, const RunOptions& options) : recipe_(recipe), options_(options) {
    check(bool(options.make_model), "run: there is no way to make a network");
  }

  std::shared_ptr<const data::ImageSet> load(const std::string& split, int64_t limit) const {
    data::FindOptions find;
    find.data_roots = options_.data_roots;
    find.read = {data::on_bad_sample(recipe_.data.on_bad_sample), limit};
    find.note = [&](const std::string& text) { tell("note", {{"text", text}}); };
    return std::make_shared<const data::ImageSet>(
        data::load_dataset(recipe_.data.name, split, find));
  }

  /// An untrained network, or that of a file whose shapes must fit.
  std::shared_ptr<nn::TensorModule> network(const std::string& arch, const std::string& weights,
                                            int64_t classes, uint64_t seed) const {
    const auto make = [&](const std::string& name, int64_t = 0) {
      return options_.make_model(name, classes, seed);
    };
    if (weights.empty()) return make(arch);
    const std::string path = data::find_model(weights, options_.data_roots).string();
    return quant::load_model(path, make, arch).model;
  }

  std::shared_ptr<nn::TensorModule> teacher(const data::ImageSet& train) const {
    return network(recipe_.teacher.arch, recipe_.teacher.weights, int64_t(train.classes.size()),
                   uint64_t(recipe_.train.seed) ^ kTeacherSeed);
  }

  /// The network to train. One that a checkpoint will be read into gets its quantizers only.
  std::shared_ptr<nn::TensorModule> student(const data::ImageSet& train, bool resuming) const {
    const bool pretrained = !recipe_.model.init.empty() && !resuming;
    auto student = network(recipe_.model.arch, pretrained ? recipe_.model.init : "",
                           int64_t(train.classes.size()), uint64_t(recipe_.train.seed));
    const quant::Policy policy = policy_of(recipe_);
    if (!policy.quantizes()) return student;
    if (resuming) {
      quant::attach(*student, policy);
      return student;
    }
    quant::prepare(*student, policy);
    // From scratch the range stays [0, 1] (docs/numerics.md, the range of activations).
    if (pretrained) calibrate(*student, train);
    return student;
  }

  /// The frozen teacher's stored logits, if the recipe names some; `network` may be null.
  std::shared_ptr<Teacher> stored_logits(const data::ImageSet& train,
                                         const nn::TensorModule* network) const {
    if (recipe_.teacher.logits.empty()) return nullptr;
    return std::make_shared<StoredTeacher>(recipe_.teacher.logits, logits_key(train, network));
  }

  LogitsKey logits_key(const data::ImageSet& train, const nn::TensorModule* network) const {
    return {.teacher = network ? state_hash(*network) : "",
            .data = recipe_.data.name,
            .augment = recipe_.data.augment,
            .seed = recipe_.train.seed,
            .images = train.count,
            .epochs = recipe_.train.epochs,
            .classes = int64_t(train.classes.size())};
  }

  void tell(const std::string& kind,
            std::vector<std::pair<std::string, Event::Value>> fields) const {
    if (options_.trainer.listener.on_event)
      options_.trainer.listener.on_event({.kind = kind, .fields = std::move(fields)});
  }

 private:
  void calibrate(nn::TensorModule& student, const data::ImageSet& train) const {
    const int64_t images = std::min(recipe_.quant.calibration_images, train.count);
    std::vector<Tensor> batches;
    for (int64_t begin = 0; begin < images; begin += kCalibrationBatch) {
      std::vector<int64_t> ids(size_t(std::min(kCalibrationBatch, images - begin)));
      std::iota(ids.begin(), ids.end(), begin);
      batches.push_back(data::make_batch(train, ids).x);
    }
    quant::calibrate(student, batches);
    tell("calibrated", {{"images", images}});
  }

  const Recipe& recipe_;
  const RunOptions& options_;
};

TeacherNeed teacher_need(const Recipe& recipe) {
  return methods().get(recipe.distill.method).teacher_need(recipe);
}

}  // namespace

TrainResult run_recipe(const Recipe& recipe, const RunOptions& options) {
  check_recipe(recipe);
  // The folder is looked at before anything slow.
  const bool resuming = !resume_point(options.trainer).empty();
  const Maker maker(recipe, options);
  TrainerParts parts;
  parts.recipe = recipe;
  parts.train = maker.load("train", recipe.data.train_images);
  parts.test = maker.load("test", recipe.data.test_images);
  check<ConfigError>(parts.train->classes == parts.test->classes,
                     "data: the training set has the classes {}, the test set {}",
                     join(parts.train->classes, ", "), join(parts.test->classes, ", "));
  parts.student = maker.student(*parts.train, resuming);
  parts.student_info.arch = recipe.model.arch;
  parts.student_info.policy = policy_of(recipe);
  parts.teacher_info.arch = recipe.teacher.arch;

  const TeacherNeed need = teacher_need(recipe);
  const bool has_network = need == TeacherNeed::trained || !recipe.teacher.weights.empty();
  if (need != TeacherNeed::none && has_network) parts.teacher = maker.teacher(*parts.train);
  if (need == TeacherNeed::frozen)
    parts.teacher_logits = maker.stored_logits(*parts.train, parts.teacher.get());
  return train(parts, options.trainer);
}

void store_logits(const Recipe& recipe, const RunOptions& options, const std::string& path) {
  check_recipe(recipe);
  check<ConfigError>(!recipe.teacher.weights.empty(),
                     "storing logits needs a trained teacher: set teacher.weights");
  const Maker maker(recipe, options);
  const auto train = maker.load("train", recipe.data.train_images);
  const auto network = maker.teacher(*train);
  LogitsWriter writer(path, maker.logits_key(*train, network.get()));
  network->to(options.trainer.device);
  OnlineTeacher teacher(network);
  data::LoaderOptions batches = loader_options(recipe);
  batches.device = options.trainer.device;
  data::Loader loader(train, batches);
  Rate rate;
  rate.add(0);
  int64_t done = 0;
  for (int64_t epoch = 0; epoch < recipe.train.epochs; ++epoch) {
    loader.start(epoch);
    while (const auto batch = loader.next()) {
      writer.add(*batch, epoch, teacher.logits(*batch, epoch));
      done += batch->size();
      rate.add(batch->size());
      if (options.trainer.listener.on_progress)
        options.trainer.listener.on_progress({.phase = "teacher",
                                              .epoch = epoch,
                                              .epochs = recipe.train.epochs,
                                              .step = done,
                                              .steps = recipe.train.epochs * train->count,
                                              .images_per_s = rate.images_per_s()});
    }
  }
  writer.close();
}

}  // namespace apprentice::distill
