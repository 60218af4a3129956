#include <apprentice/base/unit.h>
#include <apprentice/models/registry.h>
#include <apprentice/nn/linear.h>

namespace apprentice {
namespace {

/// One linear layer on the pixels: x [n, 32, 32, 3] -> logits [n, classes].
class OneLayer final : public nn::TensorModule {
 public:
  explicit OneLayer(const ModelOptions& options) {
    Rng rng(options.seed, RngPurpose::init);
    linear_ = add_module("linear",
                         std::make_shared<nn::Linear>(
                             nn::Linear::Options{.in = 3072, .out = options.classes_or(10)}, rng));
  }
  Tensor forward(const Tensor& x) override { return linear_->forward(x.reshape({x.size(0), -1})); }

 private:
  std::shared_ptr<nn::Linear> linear_;
};

}  // namespace
}  // namespace apprentice

APPRENTICE_UNIT(one_layer) {
  using namespace apprentice;
  models().add("one_layer", {.make = [](const ModelOptions& options) {
                 return std::make_shared<OneLayer>(options);
               }});
}
