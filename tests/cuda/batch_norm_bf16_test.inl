#include <cuda/bf16.h>
#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/cuda/batch_norm.cuh>
#include <apprentice/kernels/cuda/batch_norm_backward.cuh>

namespace apprentice {
namespace {

using namespace kernels;
using testing::Both;
using testing::same_bits;
using testing::stored;
using testing::widened;

/// [m, c]; `head` elements lie before each tensor, so that an odd one leaves no pair aligned.
struct Problem {
  int64_t m, c, head;
  std::array<int64_t, 2> matrix() const { return {m, c}; }
  std::array<int64_t, 1> channels() const { return {c}; }
  size_t count() const { return size_t(m * c); }
};
/// Odd and even columns around the widths of tiles, in pairs; rows around those from which the axis
/// is cut into parts.
const Problem kProblems[] = {{1, 1, 0},   {1, 2, 1},   {7, 3, 0},    {9, 17, 1},  {64, 31, 0},
                             {65, 64, 0}, {33, 66, 1}, {300, 16, 0}, {257, 6, 1}, {4200, 2, 0}};

std::vector<float> numbers(size_t n, unsigned seed, double offset = 0) {
  auto x = testing::random_integers<float>(n, -1000, 1000, seed);
  for (float& v : x) v = float(double(v) / 300 + offset);
  return x;
}

/// A tensor of `numbers`, or of as many elements to be written, behind the problem's head.
template <class T>
class Placed {
 public:
  Placed(const Problem& p, const std::vector<float>& numbers)
      : p_(p), elements_(with_head(p, numbers)) {}
  explicit Placed(const Problem& p) : Placed(p, std::vector<float>(p.count(), 3)) {}

  View2<T> view() const {
    return {elements_.on_device(std::array<int64_t, 1>{1}).data + p_.head, p_.matrix()};
  }
  std::vector<T> got() const {
    const auto all = elements_.got();
    return {all.begin() + p_.head, all.end()};
  }
  /// What the elements hold.
  std::vector<float> numbers() const { return widened(got()); }

 private:
  static std::vector<T> with_head(const Problem& p, std::vector<float> numbers) {
    numbers.insert(numbers.begin(), size_t(p.head), 0.0f);
    return stored<T>(numbers);
  }
  Problem p_;
  Both<T> elements_;
};

/// Everything of a layer whose x is of X and y of Y.
template <class X, class Y>
struct Layer {
  using Train = typename BatchNormTrain<float, X, Y>::Args;
  using Eval = typename BatchNormEval<float, X, Y>::Args;
  using Backward = typename BatchNormBackward<float, X, Y>::Args;

  Problem p;
  Placed<X> x, grad_x{p};
  Placed<Y> residual, mask, grad_y, y{p}, grad_residual{p};
  Placed<uint8_t> bytes{p};
  Both<float> gamma{numbers(size_t(p.c), 2, 1)}, beta{numbers(size_t(p.c), 3)};
  Both<float> eps{std::vector<float>{1e-3f}};
  Both<float> mean{numbers(size_t(p.c), 4, 20)}, inv_std{numbers(size_t(p.c), 8, 5)};
  Both<float> var{testing::random_integers<float>(size_t(p.c), 1, 9, 5)};
  Both<float> grad_gamma{gamma.host}, grad_beta{gamma.host};

  explicit Layer(const Problem& p)
      : p(p),
        x(p, numbers(p.count(), 1, 20)),
        residual(p, numbers(p.count(), 6)),
        mask(p, numbers(p.count(), 10)),
        grad_y(p, numbers(p.count(), 9)) {}
  /// The same numbers as another has.
  template <class Other>
  explicit Layer(const Other& other)
      : p(other.p),
        x(p, other.x.numbers()),
        residual(p, other.residual.numbers()),
        mask(p, other.mask.numbers()),
        grad_y(p, other.grad_y.numbers()) {}

  simt::Buffer<unsigned char> scratch() const {
    return simt::Buffer<unsigned char>(SIMT_NS::batch_norm_scratch_bytes(p.m, p.c));
  }
  View1<float> of_channels(const Both<float>& values) const {
    return values.on_device(p.channels());
  }

  /// form 0: values, 1: with ReLU, 2: codes.
  template <class Args>
  Args forward(bool with_residual, int form) {
    Args a;
    a.x = x.view(), a.y = y.view();
    a.gamma = of_channels(gamma), a.beta = of_channels(beta);
    a.eps = eps.on_device(std::array<int64_t, 1>{1});
    a.mean = of_channels(mean), a.var = of_channels(var), a.inv_std = of_channels(inv_std);
    if (with_residual) a.residual = residual.view();
    a.residual_scale = 0.5f;
    a.relu = form == 1;
    if (form == 2) a.step = 0.125f, a.max_code = 15, a.bytes = bytes.view();
    return a;
  }
  void train(bool with_residual, int form) {
    SIMT_NS::batch_norm_train(forward<Train>(with_residual, form), scratch().data(), nullptr);
  }
  void eval(bool with_residual, int form) {
    SIMT_NS::batch_norm_eval(forward<Eval>(with_residual, form), nullptr);
  }
  /// What lets pass: 0 everything, 1 y, 2 beta, 3 codes, 4 codes of a residual.
  void backward(int passes, bool fixed) {
    Backward a;
    a.x = x.view(), a.grad_y = grad_y.view();
    a.gamma = of_channels(gamma), a.mean = of_channels(mean), a.inv_std = of_channels(inv_std);
    if (passes == 1) a.y = mask.view();
    if (passes >= 2) a.beta = of_channels(beta);
    if (passes >= 3) a.step = 0.125f, a.max_code = 16;
    if (passes == 4) a.residual = residual.view();
    a.residual_scale = 0.5f, a.fixed_statistics = fixed;
    a.grad_x = grad_x.view(), a.grad_residual = grad_residual.view();
    a.grad_gamma = of_channels(grad_gamma), a.grad_beta = of_channels(grad_beta);
    SIMT_NS::batch_norm_backward(a, scratch().data(), nullptr);
  }
};

/// Does `layer` hold what `wide`, all f32, does, rounded?
template <class X, class Y>
void check_same(const Layer<X, Y>& layer, const Layer<float, float>& wide) {
  CHECK(same_bits(layer.y.got(), stored<Y>(wide.y.got())));
  CHECK(layer.bytes.got() == wide.bytes.got());
  CHECK(same_bits(layer.mean.got(), wide.mean.got()));
  CHECK(same_bits(layer.var.got(), wide.var.got()));
  CHECK(same_bits(layer.inv_std.got(), wide.inv_std.got()));
  CHECK(same_bits(layer.grad_x.got(), stored<X>(wide.grad_x.got())));
  CHECK(same_bits(layer.grad_residual.got(), stored<Y>(wide.grad_residual.got())));
  CHECK(same_bits(layer.grad_gamma.got(), wide.grad_gamma.got()));
  CHECK(same_bits(layer.grad_beta.got(), wide.grad_beta.got()));
}

/// run(layer) of tensors in bf16 and in f32.
template <class X, class Y, class Run>
void check_layer(const Problem& p, const Run& run) {
  CAPTURE(p.m, p.c, p.head, sizeof(X), sizeof(Y));
  Layer<X, Y> layer(p);
  Layer<float, float> wide(layer);
  run(layer), run(wide);
  check_same(layer, wide);
}
template <class Run>
void check_layers(const Run& run) {
  for (const Problem& p : kProblems) {
    check_layer<Bf16, Bf16>(p, run);
    check_layer<float, Bf16>(p, run);
    check_layer<Bf16, float>(p, run);
  }
}

}  // namespace

KERNEL_TEST_CASE("batch norm of bf16 tensors is that of their numbers in f32, rounded once") {
  const int form = GENERATE(0, 1, 2);
  const bool residual = GENERATE(false, true);
  CAPTURE(form, residual);
  check_layers([&](auto& layer) { layer.train(residual, form); });
  check_layers([&](auto& layer) { layer.eval(residual, form); });
}

KERNEL_TEST_CASE("the gradient of batch norm in bf16 is that of f32, rounded once") {
  const int passes = GENERATE(0, 1, 2, 3, 4);
  const bool fixed = GENERATE(false, true);
  CAPTURE(passes, fixed);
  check_layers([&](auto& layer) { layer.backward(passes, fixed); });
}

KERNEL_TEST_CASE("where types are one, batch norm in bf16 may replace its inputs") {
  for (const Problem& p : kProblems) {
    CAPTURE(p.m, p.c, p.head);
    Layer<Bf16, Bf16> apart(p), within(p);
    apart.train(true, 1);
    apart.backward(2, false);
    auto forward = within.forward<BatchNormTrain<float, Bf16>::Args>(true, 1);
    forward.y = within.residual.view();
    SIMT_NS::batch_norm_train(forward, within.scratch().data(), nullptr);
    CHECK(same_bits(within.residual.got(), apart.y.got()));
    BatchNormBackward<float, Bf16>::Args a;
    a.x = within.x.view(), a.grad_y = within.grad_y.view(), a.grad_x = within.grad_y.view();
    a.gamma = forward.gamma, a.beta = forward.beta;
    a.mean = forward.mean, a.inv_std = forward.inv_std;
    a.grad_gamma = within.of_channels(within.grad_gamma);
    a.grad_beta = within.of_channels(within.grad_beta);
    SIMT_NS::batch_norm_backward(a, within.scratch().data(), nullptr);
    CHECK(same_bits(within.grad_y.got(), apart.grad_x.got()));
  }
}

}  // namespace apprentice
