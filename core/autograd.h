#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// A tensor that a vjp will need, outside the graph, with the state of its memory: reading it after
/// somebody has written to that memory throws Error naming the operation. Capture these in a vjp,
/// not Tensors.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& tensor);
  /// Undefined if an undefined tensor was saved.
  const Tensor& get() const;

 private:
  Tensor tensor_;
  uint64_t version_ = 0;
};

/// One differentiable operation: y = f(inputs). Its vjp takes grad_y and returns, per input, the
/// gradient or an undefined Tensor for "none". It knows where gradients go but keeps no input's
/// memory: what the vjp needs is what the vjp has Saved.
class Node {
 public:
  using Vjp = std::function<std::vector<Tensor>(const Tensor& grad_y)>;
  /// Where the gradient of one input goes: the operation that made it, or a leaf; neither: nowhere.
  struct Edge {
    std::shared_ptr<Node> node;
    std::shared_ptr<TensorImpl> leaf;
    Dtype dtype = Dtype::f32;  ///< of the input, and so of its gradient
    explicit operator bool() const { return node || leaf; }
  };

  Node(const char* op, const std::vector<Tensor>& inputs, Vjp vjp);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const char* op() const { return op_; }
  const std::vector<Edge>& edges() const { return edges_; }
  /// Larger for nodes made later: backward() runs in falling order.
  uint64_t order() const { return order_; }
  /// ShapeError unless one gradient per input comes back, DtypeError unless each has its input's
  /// dtype.
  std::vector<Tensor> vjp(const Tensor& grad_y) const;
  /// Drops saved tensors; a second backward() through this node throws.
  void release() { vjp_ = nullptr; }
  bool released() const { return !vjp_; }

 private:
  const char* op_;
  std::vector<Edge> edges_;
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

/// Does this tensor want a gradient, and is recording on?
bool needs_grad(const Tensor& input);
/// Does any input? Operations ask before saving anything.
bool needs_grad(const std::vector<Tensor>& inputs);
/// y as the result of `op` on `inputs`, if one of them wants a gradient: the same memory in a
/// tensor of its own, so the vjp may hold y. Undefined inputs are allowed. `op` must outlive the
/// graph (a literal). The vjp runs under NoGrad.
Tensor record(const char* op, const Tensor& y, const std::vector<Tensor>& inputs, Node::Vjp vjp);

}  // namespace apprentice
