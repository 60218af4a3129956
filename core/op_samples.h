#pragma once

#include <functional>
#include <string>
#include <vector>

#include <apprentice/base/registry.h>
#include <apprentice/base/rng.h>
#include <apprentice/core/tensor.h>

namespace apprentice {

/// One call of an operation: what every generic test of operations runs on.
struct OpSample {
  /// What is special about it: "stride 2", "broadcast".
  std::string name;
  /// f32; a test converts the floating ones. Every floating input is differentiated.
  std::vector<Tensor> inputs;
  std::function<Tensor(const std::vector<Tensor>& inputs)> run;
  /// The shape that run() must give.
  Shape y;
  /// Its gradient is declared, not derived (straight-through): it has a test of its own formula.
  bool surrogate = false;
};

/// Makes the samples of one operation, sizes 0, 1 and odd ones among them.
using OpSampler = std::function<std::vector<OpSample>(Rng& rng)>;
/// Samples of y = op(x), elementwise, x uniform in [low, high).
std::vector<OpSample> unary_samples(std::function<Tensor(const Tensor&)> op, float low, float high,
                                    Rng& rng);
/// Samples of y = op(a, b) under broadcasting, a and b uniform in [low, high).
std::vector<OpSample> binary_samples(std::function<Tensor(const Tensor&, const Tensor&)> op,
                                     float low, float high, Rng& rng);

/// Every operation with its samples; the file of an operation adds to it.
Registry<OpSampler>& op_samples();

}  // namespace apprentice
