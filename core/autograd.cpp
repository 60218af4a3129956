#include <apprentice/core/autograd.h>

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <utility>

#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/tensor_internal.h>

namespace apprentice {
namespace {

thread_local bool recording = true;
/// The operation whose vjp runs on this thread, for messages.
thread_local const char* running_op = "backward";

std::atomic<uint64_t> nodes_made{0};

Node::Edge edge_to(const Tensor& input) {
  if (!input || !input.requires_grad()) return {};
  if (input.node()) return {input.node(), nullptr, input.dtype()};
  return {nullptr, input.impl(), input.dtype()};
}

/// Adds `more` to `sum`, in place if nobody else can see it.
void add_to(Tensor& sum, Tensor more) {
  if (!sum) {
    sum = std::move(more);
  } else if (sole_owner(sum)) {
    accumulate(sum, more);
  } else if (sole_owner(more)) {
    accumulate(more, sum);
    sum = std::move(more);
  } else {
    sum = add(sum, more);
  }
}

/// One run of backward(): gradients on their way through the nodes that the result depends on.
class Backward {
 public:
  Backward(const std::shared_ptr<Node>& root, Tensor grad) {
    visit(root);
    pending_[root.get()] = std::move(grad);
  }

  void run() {
    NoGrad no_grad;
    std::sort(nodes_.begin(), nodes_.end(),
              [](const auto& a, const auto& b) { return a->order() > b->order(); });
    for (auto& node : nodes_) {
      step(*node);
      node.reset();
    }
  }

  /// Adds a complete gradient to the leaf's own and tells who waits for it.
  static void deliver(const std::shared_ptr<TensorImpl>& leaf, Tensor grad) {
    if (leaf->grad) {
      accumulate(leaf->grad, grad);
    } else {
      leaf->grad = sole_owner(grad) ? std::move(grad) : grad.clone();
    }
    Tensor handle(leaf);
    if (leaf->grad_ready) leaf->grad_ready(handle);
  }

 private:
  /// Collects the nodes below `root` and counts on how many edges each leaf waits.
  void visit(const std::shared_ptr<Node>& root) {
    std::vector<std::shared_ptr<Node>> open{root};
    pending_.try_emplace(root.get());
    while (!open.empty()) {
      std::shared_ptr<Node> node = std::move(open.back());
      open.pop_back();
      for (const Node::Edge& edge : node->edges()) {
        if (edge.leaf) ++waiting_[edge.leaf.get()];
        if (edge.node && pending_.try_emplace(edge.node.get()).second) open.push_back(edge.node);
      }
      nodes_.push_back(std::move(node));
    }
  }

  /// All users of this node's result have a larger order, so its gradient is complete.
  void step(Node& node) {
    const Tensor grad = std::exchange(pending_[&node], {});
    std::vector<Tensor> grads(node.edges().size());
    if (grad) {
      grads = node.vjp(grad);
      node.release();
    }
    for (size_t i = 0; i < grads.size(); ++i) {
      const Node::Edge& edge = node.edges()[i];
      if (edge.node && grads[i]) add_to(pending_[edge.node.get()], std::move(grads[i]));
      if (edge.leaf) arrive(edge.leaf, std::move(grads[i]));
    }
  }

  void arrive(const std::shared_ptr<TensorImpl>& leaf, Tensor grad) {
    Tensor& sum = pending_leaf_[leaf.get()];
    if (grad) add_to(sum, std::move(grad));
    if (--waiting_[leaf.get()] == 0 && sum) deliver(leaf, std::exchange(sum, {}));
  }

  std::vector<std::shared_ptr<Node>> nodes_;
  std::unordered_map<const Node*, Tensor> pending_;
  std::unordered_map<const TensorImpl*, Tensor> pending_leaf_;
  std::unordered_map<const TensorImpl*, int64_t> waiting_;
};

}  // namespace

Saved::Saved(const Tensor& tensor) {
  if (!tensor) return;
  tensor_ = tensor.detach();
  version_ = tensor_.impl()->storage->version.load(std::memory_order_relaxed);
}

const Tensor& Saved::get() const {
  check(!tensor_ || tensor_.impl()->storage->version.load(std::memory_order_relaxed) == version_,
        "backward of {}: a tensor {} that it saved was written to after the forward", running_op,
        tensor_ ? tensor_.shape().str() : "");
  return tensor_;
}

Node::Node(const char* op, const std::vector<Tensor>& inputs, Vjp vjp)
    : op_(op), vjp_(std::move(vjp)), order_(nodes_made.fetch_add(1, std::memory_order_relaxed)) {
  edges_.reserve(inputs.size());
  for (const Tensor& input : inputs) edges_.push_back(edge_to(input));
}

/// A long chain dies node by node instead of one destructor inside the other.
Node::~Node() {
  std::vector<Edge> dying = std::move(edges_);
  while (!dying.empty()) {
    const std::shared_ptr<Node> node = std::move(dying.back().node);
    dying.pop_back();
    if (node.use_count() != 1) continue;
    for (Edge& edge : node->edges_) dying.push_back(std::move(edge));
    node->edges_.clear();
  }
}

std::vector<Tensor> Node::vjp(const Tensor& grad_y) const {
  check(!released(), "backward: the graph of {} was used by an earlier backward and released", op_);
  const char* before = std::exchange(running_op, op_);
  struct Restore {
    const char* op;
    ~Restore() { running_op = op; }
  } restore{before};
  std::vector<Tensor> grads = vjp_(grad_y);
  check<ShapeError>(grads.size() == edges_.size(), "backward of {}: {} gradients for {} inputs",
                    op_, grads.size(), edges_.size());
  for (size_t i = 0; i < grads.size(); ++i)
    check<DtypeError>(!grads[i] || !edges_[i] || grads[i].dtype() == edges_[i].dtype,
                      "backward of {}: gradient {} is {}, its input {}", op_, i,
                      grads[i] ? name_of(grads[i].dtype()) : "", name_of(edges_[i].dtype));
  return grads;
}

NoGrad::NoGrad() : before_(std::exchange(recording, false)) {}
NoGrad::~NoGrad() { recording = before_; }
bool grad_enabled() { return recording; }

bool needs_grad(const Tensor& input) { return recording && input && input.requires_grad(); }

bool needs_grad(const std::vector<Tensor>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return needs_grad(t); });
}

Tensor record(const char* op, const Tensor& y, const std::vector<Tensor>& inputs, Node::Vjp vjp) {
  if (!needs_grad(inputs)) return y;
  Tensor result = y.detach();
  result.impl()->requires_grad = true;
  result.impl()->node = std::make_shared<Node>(op, inputs, std::move(vjp));
  return result;
}

void Tensor::backward(const Tensor& grad) const {
  check(requires_grad(), "backward: this tensor depends on nothing that requires a gradient");
  check<ShapeError>(grad || numel() == 1, "backward: shape {} is not one element; pass a gradient",
                    shape().str());
  check<ShapeError>(!grad || grad.shape() == shape(), "backward: gradient {}, expected {}",
                    grad ? grad.shape().str() : "", shape().str());
  check<DtypeError>(!grad || grad.dtype() == dtype(), "backward: gradient is {}, expected {}",
                    grad ? name_of(grad.dtype()) : "", name_of(dtype()));
  check<DeviceError>(!grad || grad.device() == device(), "backward: gradient on {}, expected {}",
                     grad ? grad.device().str() : "", device().str());
  Tensor seed = grad ? grad.detach() : new_empty(shape());
  if (!grad) seed.fill(1);
  if (!node()) return Backward::deliver(impl_, std::move(seed));
  Backward(node(), std::move(seed)).run();
}

}  // namespace apprentice
