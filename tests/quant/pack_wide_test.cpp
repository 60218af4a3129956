#include <catch2/catch.hpp>

#include <algorithm>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/pool.h>
#include <apprentice/quant/pack.h>
#include <apprentice/quant/verify.h>
#include <quant/quant_problems.h>
#include <support/temp_folder.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

nn::ConvBn2d::Options convolution(const std::string& index, int64_t in, int64_t out) {
  nn::ConvBn2d::Options options{.conv_name = "conv" + index, .bn_name = "bn" + index, .conv = {}};
  options.conv = {.in = in, .out = out, .padding = {1, 1}};
  return options;
}

/// A stem of very many channels and a convolution that adds them all up.
class Wide final : public nn::TensorModule {
 public:
  Wide() {
    Rng rng(3, RngPurpose::test);
    stem_ = add_module("", std::make_shared<nn::ConvBn2d>(convolution("1", 3, kChannels), rng));
    conv_ = add_module("", std::make_shared<nn::ConvBn2d>(convolution("2", kChannels, 4), rng));
    linear_ = add_module("linear",
                         std::make_shared<nn::Linear>(nn::Linear::Options{.in = 4, .out = 3}, rng));
    // Outputs of the stem far from 0, and weights of one sign: sums as large as they can be.
    stem_->bn().parameter("bias").fill(20);
    conv_->conv().parameter("weight").copy_from(
        Tensor::uniform({4, 3, 3, kChannels}, 0.7f, 1, rng));
    // Keeps the second output's codes apart, whose values are large and alike.
    conv_->bn().buffer("running_mean").fill(9 * kChannels * 20 * 0.85);
    conv_->bn().buffer("running_var").fill(1e6);
  }
  Tensor forward(const Tensor& x) override {
    return linear_->forward(pool_.forward(conv_->forward(stem_->forward({x, {}, 0}))));
  }

  static constexpr int64_t kChannels = 2000;

 private:
  std::shared_ptr<nn::ConvBn2d> stem_, conv_;
  nn::GlobalAvgPool2d pool_;
  std::shared_ptr<nn::Linear> linear_;
};

}  // namespace

TEST_CASE("packed networks: sums beyond 2^24 equal the model's, for all kernels") {
  Wide model;
  const quant::Policy policy = make_policy("wrpn", 4, "wrpn", 8);
  quant::prepare(model, policy);
  const Tensor x = random_images(2, 5, 6);
  quant::calibrate(model, {x});
  model.eval();
  float largest = 0;
  quant::layers(model)[1].fused->set_observer([&](const nn::Observation& seen) {
    const auto sums = seen.sums.to_vector<float>();
    largest = *std::max_element(sums.begin(), sums.end());
  });
  {
    NoGrad no_grad;
    model.forward(x);
  }
  CHECK(largest > 0x1p24f);
  TempFolder folder;
  const std::string path = folder / "wide.safetensors";
  quant::pack(model, {"wide", policy, {}}, path, {.height = 6, .width = 6});
  for (const char* kernel : {"reference", "avx2", "vnni"}) {
    CAPTURE(kernel);
    const auto once = [x, given = false]() mutable {
      return std::exchange(given, true) ? Tensor() : x;
    };
    try {
      const auto report =
          quant::verify(model, path, once, {.kernel = kernel, .require_kernel = true});
      CHECK(report.difference == "");
      CHECK(report.passed);
    } catch (const DeviceError&) {
      // this processor has no such instructions
    }
  }
}
