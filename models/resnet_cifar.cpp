#include <apprentice/models/resnet_cifar.h>

#include <cmath>
#include <string>

#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/ops/pool.h>

namespace apprentice {
namespace {

std::shared_ptr<nn::ConvBn2d> conv3x3(const std::string& index, int64_t in, int64_t out,
                                      int64_t stride, Rng& rng) {
  nn::ConvBn2d::Options options{.conv_name = "conv" + index, .bn_name = "bn" + index, .conv = {}};
  options.conv = {.in = in, .out = out, .stride = {stride, stride}, .padding = {1, 1}};
  return std::make_shared<nn::ConvBn2d>(options, rng);
}

/// So many channels for a layer that has `channels` at width 1.
int64_t widened(int64_t channels, double width) { return std::llround(double(channels) * width); }

}  // namespace

BasicBlock::BasicBlock(int64_t in, int64_t out, int64_t stride, Rng& rng)
    : in_(in), out_(out), stride_(stride) {
  first_ = add_module("", conv3x3("1", in, out, stride, rng));
  second_ = add_module("", conv3x3("2", out, out, 1, rng));
}

nn::Scaled BasicBlock::forward(const nn::Scaled& x) {
  nn::Scaled shortcut = x;
  if (stride_ != 1 || in_ != out_)
    shortcut = {shortcut_a(x.data, out_, stride_), x.step, x.max_code, x.zero_point};
  return second_->forward(first_->forward(x), shortcut);
}

ResNetCifar::ResNetCifar(int64_t depth, const ModelOptions& options) {
  check<ConfigError>(depth >= 8 && depth % 6 == 2,
                     "resnet: depth is {}, expected 6n + 2 with n of at least 1", depth);
  const int64_t base = widened(16, options.width);
  check<ConfigError>(base > 0, "resnet: width {} leaves no channel", options.width);
  Rng rng(options.seed, RngPurpose::init);
  stem_ = add_module("", conv3x3("1", 3, base, 1, rng));
  int64_t in = base;
  for (int64_t stage = 0; stage < 3; ++stage) {
    const int64_t out = base << stage;
    auto layer = add_module("layer" + std::to_string(stage + 1), std::make_shared<nn::Module>());
    for (int64_t i = 0; i < (depth - 2) / 6; ++i) {
      const int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      blocks_.push_back(
          layer->add_module(std::to_string(i), std::make_shared<BasicBlock>(in, out, stride, rng)));
      in = out;
    }
  }
  linear_ =
      add_module("linear", std::make_shared<nn::Linear>(
                               nn::Linear::Options{.in = in, .out = options.classes_or(10)}, rng));
}

Tensor ResNetCifar::features(const Tensor& x) {
  nn::Scaled y = stem_->forward({x, {}, 0});
  for (const auto& block : blocks_) y = block->forward(y);
  return pool_.forward(y);
}

Tensor ResNetCifar::forward(const Tensor& x) { return linear_->forward(features(x)); }

std::string ResNetCifar::key_of(const std::string& file_key) const {
  return file_key.rfind("fc.", 0) == 0 ? "linear." + file_key.substr(3) : file_key;
}

}  // namespace apprentice

APPRENTICE_UNIT(resnet_cifar) {
  for (int64_t depth : {8, 14, 20, 32, 44, 56, 110})
    apprentice::models().add("resnet" + std::to_string(depth),
                             {.make = [depth](const apprentice::ModelOptions& options) {
                               return std::make_shared<apprentice::ResNetCifar>(depth, options);
                             }});
}
