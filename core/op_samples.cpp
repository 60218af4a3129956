#include <apprentice/core/op_samples.h>

#include <utility>

namespace apprentice {

void load_core_units();

Registry<OpSampler>& op_samples() {
  static Registry<OpSampler> samples("operation");
  load_core_units();
  return samples;
}

std::vector<OpSample> unary_samples(std::function<Tensor(const Tensor&)> op, float low, float high,
                                    Rng& rng) {
  std::vector<OpSample> samples;
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{3, 5}, Shape{2, 3, 1, 4}})
    samples.push_back({shape.str(),
                       {Tensor::uniform(shape, low, high, rng)},
                       [op](const auto& inputs) { return op(inputs[0]); },
                       shape});
  return samples;
}

std::vector<OpSample> binary_samples(std::function<Tensor(const Tensor&, const Tensor&)> op,
                                     float low, float high, Rng& rng) {
  const std::vector<std::pair<Shape, Shape>> shapes{{{3, 5}, {3, 5}}, {{}, {}},
                                                    {{0}, {0}},       {{0, 3}, {1, 3}},
                                                    {{2, 3}, {}},     {{7}, {2, 1}},
                                                    {{1, 3}, {4, 1}}, {{2, 1, 5}, {5}},
                                                    {{1}, {3, 2}},    {{2, 3, 2, 3}, {3, 1, 3}}};
  std::vector<OpSample> samples;
  for (const auto& [a, b] : shapes)
    samples.push_back({a.str() + " " + b.str(),
                       {Tensor::uniform(a, low, high, rng), Tensor::uniform(b, low, high, rng)},
                       [op](const auto& inputs) { return op(inputs[0], inputs[1]); },
                       broadcast(a, b, "sample")});
  return samples;
}

}  // namespace apprentice
