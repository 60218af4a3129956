#pragma once

#include <array>

#include <apprentice/base/rng.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// Convolution (core/ops/conv2d.h):
///   x [n, h, w, in], weight [out, kh, kw, in / groups], bias [out] (absent if !bias) -> [n, p, q,
///   out]
/// Initial weights are normal with deviation sqrt(2 / fan_in) (He et al. 2015, "Delving deep into
/// rectifiers"), the bias is zero. Pairs are (height, width).
/// Weights on a grid (`effective("weight")` has a step) are convolved as codes, then scaled.
/// ConfigError if a size is not positive or groups do not divide the channels; ShapeError if x does
/// not have `in` channels.
class Conv2d final : public TensorModule {
 public:
  struct Options {
    int64_t in = 0, out = 0;
    std::array<int64_t, 2> kernel_size{3, 3};
    std::array<int64_t, 2> stride{1, 1};
    std::array<int64_t, 2> padding{0, 0};
    std::array<int64_t, 2> dilation{1, 1};
    int64_t groups = 1;
    bool bias = true;
  };
  Conv2d(const Options& options, Rng& rng);

  Tensor forward(const Tensor& x) override;

  const Options& options() const { return options_; }
  /// The walk alone, as the operation takes it.
  Conv2dOptions geometry() const;

 private:
  Options options_;
};

}  // namespace apprentice::nn
