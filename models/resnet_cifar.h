#pragma once

#include <memory>
#include <vector>

#include <apprentice/models/registry.h>
#include <apprentice/nn/conv_bn2d.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/pool.h>

namespace apprentice {

/// Two 3x3 convolutions and a parameter-free shortcut (option A, He et al. 2015, "Deep residual
/// learning", section 4.2): y = relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)).
///   x [n, h, w, in] -> [n, ceil(h / stride), ceil(w / stride), out]
class BasicBlock final : public nn::Module {
 public:
  BasicBlock(int64_t in, int64_t out, int64_t stride, Rng& rng);
  nn::Scaled forward(const nn::Scaled& x);

 private:
  int64_t in_, out_, stride_;
  std::shared_ptr<nn::ConvBn2d> first_, second_;
};

/// ResNet for 32x32 images (He et al. 2015, section 4.2): 3x3 stem, three stages of n blocks with
/// 16, 32, 64 channels times `width`, global average pooling, linear classifier; depth = 6n + 2.
///   x [n, h, w, 3] -> logits [n, classes]
/// Keys: conv1, bn1, layer{1,2,3}.{i}.{conv1,bn1,conv2,bn2}, linear; `fc.*` is read as `linear.*`.
/// ConfigError unless depth is 6n + 2 with n >= 1, and width gives at least one channel.
class ResNetCifar final : public nn::TensorModule {
 public:
  ResNetCifar(int64_t depth, const ModelOptions& options);
  Tensor forward(const Tensor& x) override;
  /// Input of the classifier: [n, 64 width].
  Tensor features(const Tensor& x);

 protected:
  std::string key_of(const std::string& file_key) const override;

 private:
  std::shared_ptr<nn::ConvBn2d> stem_;
  std::vector<std::shared_ptr<BasicBlock>> blocks_;
  nn::GlobalAvgPool2d pool_;
  std::shared_ptr<nn::Linear> linear_;
};

}  // namespace apprentice
