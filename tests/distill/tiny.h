#pragma once

#include <cstring>
#include <memory>
#include <string>

#include <apprentice/data/find.h>
#include <apprentice/distill/method.h>
#include <apprentice/distill/run.h>
#include <apprentice/models/registry.h>
#include <apprentice/nn/linear.h>

namespace apprentice::test {

/// One affine map of the pixels, which start at [n, h, w, c]: a network that costs nothing.
class OneLayer final : public nn::TensorModule {
 public:
  explicit OneLayer(uint64_t seed, int64_t pixels = 16 * 16 * 3) : pixels_(pixels) {
    Rng rng(seed);
    linear_ = add_module(
        "linear", std::make_shared<nn::Linear>(nn::Linear::Options{.in = pixels, .out = 10}, rng));
  }
  Tensor forward(const Tensor& x) override {
    return linear_->forward(x.reshape({x.size(0), pixels_}));
  }

 private:
  int64_t pixels_;
  std::shared_ptr<nn::Linear> linear_;
};

/// Noisy pictures of 16x16 pixels whose colour tells their class: a few steps learn it.
inline data::ImageSet make_colours(const std::string& split, int64_t size) {
  data::ImageSet set;
  set.name = "colours " + split;
  set.count = size > 0 ? size : 100;
  set.height = set.width = 16;
  for (int c = 0; c < 10; ++c) set.classes.push_back("colour " + std::to_string(c));
  for (int64_t i = 0; i < set.count; ++i) {
    const int64_t label = i % 10;
    Rng rng(split == "train" ? 0 : 1, RngPurpose::test, 0, uint64_t(i));
    set.labels.push_back(label);
    for (int64_t j = 0; j < set.image_bytes(); ++j) {
      // Red and green take one of three levels each, blue tells the tenth class.
      const int64_t level = j % 3 == 0 ? label % 3 : j % 3 == 1 ? label / 3 % 3 : 2 * (label / 9);
      set.pixels.push_back(uint8_t(uint32_t(60 * level) + rng.below(100)));
    }
  }
  return set;
}

/// The set by name, as a program that embeds the library adds its own: "colours", "colours:40".
inline void add_colours() {
  if (!data::datasets().has("colours"))
    data::datasets().add("colours", {.what = "colours for tests",
                                     .generate = make_colours,
                                     .fetch = nullptr,
                                     .how_to_get = "nothing"});
}

inline std::shared_ptr<const data::ImageSet> colours(const std::string& split, int64_t count) {
  return std::make_shared<const data::ImageSet>(make_colours(split, count));
}

/// The first `count` training pictures.
inline data::Batch colours_batch(int64_t count) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(i);
  return data::make_batch(*colours("train", count), ids);
}

/// ResNets of a quarter of the usual width.
inline distill::NetworkFactory narrow() {
  return [](const std::string& arch, int64_t classes, uint64_t seed) {
    return make_model(arch, {.classes = classes, .width = 0.25, .seed = seed});
  };
}

/// Are names, shapes and all bits of the two states equal?
inline bool same_state(const nn::Module& a, const nn::Module& b) {
  return distill::state_hash(a) == distill::state_hash(b);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), size_t(a.numel()) * size_of(a.dtype())) == 0;
}

/// The method that the recipe names.
inline std::unique_ptr<distill::Method> make_method(const distill::MethodSetup& setup) {
  return distill::methods().get(setup.recipe.distill.method).make(setup);
}

/// A step of the method as the trainer runs it, up to its losses.
inline distill::StepResult run_step(distill::Method& method, const data::Batch& batch) {
  return method.step(batch, method.ahead(batch), {});
}

}  // namespace apprentice::test
