#pragma once

#include <apprentice/base/rng.h>
#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// Affine map over the last axis: y = x W^T + b.
///   x [..., in], weight [out, in], bias [out] (absent if !bias) -> y [..., out]; f32 of bf16
/// Initial weights are normal with deviation sqrt(2 / in), the bias is uniform in +-1/sqrt(in).
/// Outside the graph the f32 sums are taken in one fixed order, k ascending from the bias
/// (docs/numerics.md, rule 4), so that logits are the same bits on every processor.
/// Weights on a grid are multiplied as codes, then scaled.
/// ConfigError if in or out is not positive; ShapeError if the last axis of x is not `in`.
class Linear final : public TensorModule {
 public:
  struct Options {
    int64_t in = 0, out = 0;
    bool bias = true;
  };
  Linear(const Options& options, Rng& rng);

  Tensor forward(const Tensor& x) override;

  const Options& options() const { return options_; }

 private:
  Options options_;
};

}  // namespace apprentice::nn
