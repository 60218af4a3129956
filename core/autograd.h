#pragma once

#include <functional>
#include <string>
#include <vector>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// One differentiable operation: y = f(inputs). Its vjp takes grad_y and returns, per input, the
/// gradient or an undefined Tensor for "none".
class Node {
 public:
  using Vjp = std::function<std::vector<Tensor>(const Tensor& grad_y)>;

  Node(const char* op, std::vector<Tensor> inputs, Vjp vjp);
  const char* op() const { return op_; }
  const std::vector<Tensor>& inputs() const { return inputs_; }
  /// Larger for nodes made later: backward() runs in falling order.
  uint64_t order() const { return order_; }
  std::vector<Tensor> vjp(const Tensor& grad_y) const { return vjp_(grad_y); }
  /// Drops inputs and saved tensors; a second backward() through this node throws.
  void release();
  bool released() const { return !vjp_; }

 private:
  const char* op_;
  std::vector<Tensor> inputs_;
  Vjp vjp_;
  uint64_t order_;
};

/// While one is alive, operations of this thread record nothing.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
/// Are operations of this thread recorded?
bool grad_enabled();

/// Does any input want a gradient, and is recording on? Operations ask before saving anything.
bool needs_grad(const std::vector<Tensor>& inputs);
/// Puts y into the graph as the result of `op` on `inputs`, if one of them wants a gradient; returns y.
Tensor record(const char* op, Tensor y, std::vector<Tensor> inputs, Node::Vjp vjp);

}  // namespace apprentice
