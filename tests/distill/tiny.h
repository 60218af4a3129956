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
  explicit OneLayer(uint64_t seed, int64_t pixels = 32 * 32 * 3) : pixels_(pixels) {
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

inline std::shared_ptr<const data::ImageSet> shapes(const std::string& split, int64_t count) {
  return std::make_shared<const data::ImageSet>(
      data::load_dataset("shapes10:" + std::to_string(count), split));
}

/// The first `count` training pictures of shapes10.
inline data::Batch shapes_batch(int64_t count) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(i);
  return data::make_batch(*shapes("train", count), ids);
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

/// The student's factory for the scheme and weights of a recipe.
inline std::unique_ptr<distill::Method> make_method(const distill::MethodSetup& setup) {
  return distill::methods().get(setup.recipe.distill.method).make(setup);
}

}  // namespace apprentice::test
