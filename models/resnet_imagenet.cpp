#include <apprentice/models/resnet_imagenet.h>

#include <array>
#include <cmath>
#include <string>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>

namespace apprentice {
namespace {

constexpr int64_t kClasses = 1000, kSide = 224;
/// Channels of a bottleneck's output over those of its 3x3 convolution.
constexpr int64_t kExpansion = 4;

struct Variant {
  int64_t depth;
  std::array<int64_t, 4> blocks;  ///< of each stage
  bool bottleneck;
};
constexpr Variant kVariants[] = {
    {18, {2, 2, 2, 2}, false}, {34, {3, 4, 6, 3}, false}, {50, {3, 4, 6, 3}, true}};

const Variant& variant(int64_t depth) {
  for (const Variant& each : kVariants)
    if (each.depth == depth) return each;
  throw ConfigError(fmt::format("resnet: depth is {}, expected 18, 34 or 50", depth));
}

nn::ConvBn2d::Options square(int64_t size, int64_t in, int64_t out, int64_t stride) {
  nn::ConvBn2d::Options options;
  const int64_t padding = size / 2;
  options.conv = {.in = in,
                  .out = out,
                  .kernel_size = {size, size},
                  .stride = {stride, stride},
                  .padding = {padding, padding}};
  return options;
}

}  // namespace

ProjectionBlock::ProjectionBlock(int64_t in, int64_t out, int64_t stride, bool bottleneck,
                                 Rng& rng) {
  const auto add = [&](nn::ConvBn2d::Options options) {
    const std::string index = std::to_string(convs_.size() + 1);
    options.conv_name = "conv" + index;
    options.bn_name = "bn" + index;
    convs_.push_back(add_module("", std::make_shared<nn::ConvBn2d>(options, rng)));
  };
  if (bottleneck) {
    const int64_t middle = out / kExpansion;
    add(square(1, in, middle, 1));
    add(square(3, middle, middle, stride));
    add(square(1, middle, out, 1));
  } else {
    add(square(3, in, out, stride));
    add(square(3, out, out, 1));
  }
  if (stride == 1 && in == out) return;
  nn::ConvBn2d::Options options = square(1, in, out, stride);
  options.conv_name = "0";
  options.bn_name = "1";
  options.relu = false;
  projection_ = add_module("downsample", std::make_shared<nn::ConvBn2d>(options, rng));
}

nn::Scaled ProjectionBlock::forward(const nn::Scaled& x) {
  const nn::Scaled shortcut = projection_ ? projection_->forward(x) : x;
  nn::Scaled y = x;
  for (size_t i = 0; i + 1 < convs_.size(); ++i) y = convs_[i]->forward(y);
  return convs_.back()->forward(y, shortcut);
}

ResNetImageNet::ResNetImageNet(int64_t depth, const ModelOptions& options) {
  const auto [_, blocks, bottleneck] = variant(depth);
  const int64_t base = std::llround(64 * options.width);
  check<ConfigError>(base > 0, "resnet: width {} leaves no channel", options.width);
  Rng rng(options.seed, RngPurpose::init);
  stem_ = add_module("", std::make_shared<nn::ConvBn2d>(square(7, 3, base, 2), rng));
  stem_pool_ =
      add_module("maxpool", std::make_shared<nn::MaxPool2d>(Pool2dOptions{
                                .kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}));
  int64_t in = base;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    const int64_t out = (base << stage) * (bottleneck ? kExpansion : 1);
    auto layer = add_module("layer" + std::to_string(stage + 1), std::make_shared<nn::Module>());
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      const int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      blocks_.push_back(layer->add_module(
          std::to_string(i), std::make_shared<ProjectionBlock>(in, out, stride, bottleneck, rng)));
      in = out;
    }
  }
  fc_ = add_module("fc",
                   std::make_shared<nn::Linear>(
                       nn::Linear::Options{.in = in, .out = options.classes_or(kClasses)}, rng));
}

Tensor ResNetImageNet::features(const Tensor& x) {
  nn::Scaled y = stem_pool_->forward(stem_->forward({x, {}, 0}));
  for (const auto& block : blocks_) y = block->forward(y);
  return pool_.forward(y);
}

Tensor ResNetImageNet::forward(const Tensor& x) { return fc_->forward(features(x)); }

std::string ResNetImageNet::key_of(const std::string& file_key) const {
  return file_key.rfind("linear.", 0) == 0 ? "fc." + file_key.substr(7) : file_key;
}

}  // namespace apprentice

APPRENTICE_UNIT(resnet_imagenet) {
  using namespace apprentice;
  for (const Variant& each : kVariants)
    models().add("resnet" + std::to_string(each.depth),
                 {.make =
                      [depth = each.depth](const ModelOptions& options) {
                        return std::make_shared<ResNetImageNet>(depth, options);
                      },
                  .side = kSide});
}
