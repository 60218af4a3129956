#pragma once

#include <memory>
#include <vector>

#include <apprentice/models/registry.h>
#include <apprentice/nn/conv_bn2d.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/pool.h>

namespace apprentice {

/// Two or three convolutions and a shortcut, which is a projection (option B of He et al. 2015,
/// "Deep residual learning", section 3.3: 1x1 convolution and batch norm) where size or channels
/// change:
///   y = relu(bn(conv(... relu(bn1(conv1(x))))) + shortcut(x))
///   x [n, h, w, in] -> [n, ceil(h / stride), ceil(w / stride), out]
/// Basic: 3x3 with the stride, 3x3. Bottleneck: 1x1 to out / 4 channels, 3x3 with the stride, 1x1
/// (the stride of torchvision, "v1.5"; He et al. have it in the first 1x1).
class ProjectionBlock final : public nn::Module {
 public:
  ProjectionBlock(int64_t in, int64_t out, int64_t stride, bool bottleneck, Rng& rng);
  nn::Scaled forward(const nn::Scaled& x);

 private:
  std::vector<std::shared_ptr<nn::ConvBn2d>> convs_;
  std::shared_ptr<nn::ConvBn2d> projection_;  ///< null: x itself
};

/// ResNet for 224x224 images (He et al. 2015, table 1): 7x7 stem of stride 2, 3x3 max pooling of
/// stride 2, four stages of 64, 128, 256, 512 channels times `width` (depth 50: four times as many
/// between its bottlenecks), global average pooling, linear classifier; 1,000 classes unless said
/// otherwise.
///   x [n, h, w, 3] -> logits [n, classes]
/// Keys, torchvision's: conv1, bn1, layer{1,2,3,4}.{i}.{conv1,bn1,conv2,bn2,conv3,bn3},
/// layer{2,3,4}.0.downsample.{0,1} (depth 50: layer1, too), fc; `linear.*` is read as `fc.*`.
/// ConfigError unless depth is 18, 34 or 50 and width gives at least one channel.
class ResNetImageNet final : public nn::TensorModule {
 public:
  ResNetImageNet(int64_t depth, const ModelOptions& options);
  Tensor forward(const Tensor& x) override;
  /// Input of the classifier: [n, 512 width], depth 50 [n, 2048 width].
  Tensor features(const Tensor& x);

 protected:
  std::string key_of(const std::string& file_key) const override;

 private:
  std::shared_ptr<nn::ConvBn2d> stem_;
  std::shared_ptr<nn::MaxPool2d> stem_pool_;
  std::vector<std::shared_ptr<ProjectionBlock>> blocks_;
  nn::GlobalAvgPool2d pool_;
  std::shared_ptr<nn::Linear> fc_;
};

}  // namespace apprentice
