#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/tensor.h>

namespace apprentice {

Tensor Tensor::reshape(const Shape& shape) const {
  check<ShapeError>(shape.numel() == numel(), "reshape: {} has {} elements, {} has {}",
                    this->shape().str(), numel(), shape.str(), shape.numel());
  return record("reshape", alias(shape), {*this}, [before = this->shape()](const Tensor& g) {
    return std::vector{g.reshape(before)};
  });
}

Tensor Tensor::reshape(std::initializer_list<int64_t> sizes) const {
  int64_t known = 1, open = 0;
  for (int64_t size : sizes) size == -1 ? ++open : known *= size;
  check<ShapeError>(open <= 1, "reshape: -1 may stand for one size, got {}", open);
  check<ShapeError>(open == 0 || (known > 0 && numel() % known == 0),
                    "reshape: no size at -1 makes {} into {} elements", shape().str(), known);
  Shape shape;
  for (int64_t size : sizes) shape.push_back(size == -1 ? numel() / known : size);
  return reshape(shape);
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  check<ShapeError>(rank() > 0 && 0 <= begin && begin <= end && end <= size(0),
                    "slice: [{}, {}) of shape {}", begin, end, shape().str());
  Shape part = shape();
  part[0] = end - begin;
  const int64_t row = size(0) > 0 ? numel() / size(0) : 0;
  return record("slice", alias(part, begin * row), {*this},
                [whole = shape(), offset = begin * row](const Tensor& g) {
                  Tensor grad = g.new_zeros(whole);
                  grad.alias(g.shape(), offset).copy_from(g);
                  return std::vector{grad};
                });
}

Tensor Tensor::to(Dtype dtype) const {
  if (dtype == this->dtype()) return *this;
  Tensor y = new_empty(shape(), dtype);
  y.copy_from(*this);
  const bool floating = dtype == Dtype::f32 || dtype == Dtype::f64 || dtype == Dtype::bf16;
  if (!floating) return y;
  return record("to", y, {*this},
                [before = this->dtype()](const Tensor& g) { return std::vector{g.to(before)}; });
}

}  // namespace apprentice

APPRENTICE_UNIT(view) {
  using namespace apprentice;
  op_samples().add("reshape", [](Rng& rng) {
    return std::vector<OpSample>{{"[2, 3, 5]",
                                  {Tensor::normal({2, 3, 5}, 0, 1, rng)},
                                  [](const auto& in) {
                                    return in[0].reshape({5, -1});
                                  },
                                  {5, 6}},
                                 {"[0, 3]",
                                  {Tensor::normal({0, 3}, 0, 1, rng)},
                                  [](const auto& in) {
                                    return in[0].reshape({3, 0});
                                  },
                                  {3, 0}},
                                 {"[1]",
                                  {Tensor::normal({1}, 0, 1, rng)},
                                  [](const auto& in) { return in[0].reshape(Shape{}); },
                                  {}}};
  });
  op_samples().add("slice", [](Rng& rng) {
    return std::vector<OpSample>{{"[1, 4) of [5, 3]",
                                  {Tensor::normal({5, 3}, 0, 1, rng)},
                                  [](const auto& in) { return in[0].slice(1, 4); },
                                  {3, 3}},
                                 {"nothing of [5]",
                                  {Tensor::normal({5}, 0, 1, rng)},
                                  [](const auto& in) { return in[0].slice(2, 2); },
                                  {0}}};
  });
}
