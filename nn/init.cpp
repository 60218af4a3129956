#include <apprentice/nn/init.h>

#include <cmath>

#include <apprentice/base/error.h>

namespace apprentice::nn {
namespace {

Tensor normal_of(const Shape& shape, double variance, Rng& rng) {
  return Tensor::normal(shape, 0, float(std::sqrt(variance)), rng);
}

/// A uniform distribution over +-b has the variance b^2 / 3.
Tensor uniform_of(const Shape& shape, double variance, Rng& rng) {
  const float bound = float(std::sqrt(3 * variance));
  return Tensor::uniform(shape, -bound, bound, rng);
}

}  // namespace

Fans fans(const Shape& weight) {
  check<ShapeError>(weight.rank() >= 2, "fans: a weight of shape {} has no inputs and outputs",
                    weight.str());
  int64_t taps = 1;
  for (int axis = 1; axis < weight.rank() - 1; ++axis) taps *= weight[axis];
  return {taps * weight.size(-1), taps * weight.size(0)};
}

Tensor kaiming_normal(const Shape& shape, Rng& rng) {
  return normal_of(shape, 2.0 / double(fans(shape).in), rng);
}

Tensor kaiming_uniform(const Shape& shape, Rng& rng) {
  return uniform_of(shape, 2.0 / double(fans(shape).in), rng);
}

Tensor xavier_normal(const Shape& shape, Rng& rng) {
  const Fans f = fans(shape);
  return normal_of(shape, 2.0 / double(f.in + f.out), rng);
}

Tensor xavier_uniform(const Shape& shape, Rng& rng) {
  const Fans f = fans(shape);
  return uniform_of(shape, 2.0 / double(f.in + f.out), rng);
}

Tensor truncated_normal(const Shape& shape, float deviation, Rng& rng) {
  Tensor w = Tensor::empty(shape);
  float* values = w.data<float>();
  for (int64_t i = 0; i < w.numel(); ++i) {
    float draw = rng.normal();
    while (std::abs(draw) > 2) draw = rng.normal();
    values[i] = deviation * draw;
  }
  return w;
}

}  // namespace apprentice::nn
