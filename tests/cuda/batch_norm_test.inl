#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/cuda/batch_norm.cuh>
#include <apprentice/kernels/cuda/batch_norm_backward.cuh>

namespace apprentice {
namespace {

using namespace kernels;
using testing::Both;
using Train = BatchNormTrain<float>::Args;
using Eval = BatchNormEval<float>::Args;
using Backward = BatchNormBackward<float>::Args;

constexpr double kUnit = 0x1p-24;
constexpr float kStep = 0.125f;

struct Problem {
  int64_t m, c;
  std::array<int64_t, 2> matrix() const { return {m, c}; }
  std::array<int64_t, 1> channels() const { return {c}; }
  size_t count() const { return size_t(m * c); }
};
/// Columns around the widths of tiles, rows around a tile's and around those from which the axis is
/// cut into parts.
const Problem kProblems[] = {{1, 1},    {2, 3},    {7, 16},   {9, 17},   {64, 31}, {129, 32},
                             {257, 33}, {300, 16}, {1000, 5}, {4500, 1}, {150, 70}};

std::vector<float> numbers(size_t n, unsigned seed, double offset = 0) {
  auto x = testing::random_integers<float>(n, -1000, 1000, seed);
  for (float& v : x) v = float(double(v) / 300 + offset);
  return x;
}

constexpr std::array<int64_t, 1> kOne{1};

/// What a forward has; y, residual and so on are asked for by the test.
struct Forward {
  Problem p;
  Both<float> x, gamma, beta, mean, var, inv_std, eps, residual, y;
  Both<uint8_t> bytes;
  Both<float> step{{kStep}}, half{{0.5f}};

  explicit Forward(const Problem& p)
      : p(p),
        x(numbers(p.count(), 1, 20)),
        gamma(numbers(size_t(p.c), 2, 1)),
        beta(numbers(size_t(p.c), 3)),
        mean(numbers(size_t(p.c), 4, 20)),
        var(testing::random_integers<float>(size_t(p.c), 1, 9, 5)),
        inv_std(std::vector<float>(size_t(p.c))),
        eps(std::vector<float>{1e-3f}),
        residual(numbers(p.count(), 6)),
        y(std::vector<float>(p.count())),
        bytes(std::vector<uint8_t>(p.count())) {}

  template <class Args>
  Args args(bool with_residual) {
    Args a;
    a.x = x.on_device(p.matrix());
    a.gamma = gamma.on_device(p.channels()), a.beta = beta.on_device(p.channels());
    a.eps = eps.on_device(std::array<int64_t, 1>{1});
    a.mean = mean.on_device(p.channels()), a.var = var.on_device(p.channels());
    a.inv_std = inv_std.on_device(p.channels());
    if (with_residual) a.residual = residual.on_device(p.matrix());
    a.residual_scale = kernels::Number<float>::in(half.on_device(kOne).data);
    a.y = y.on_device(p.matrix());
    return a;
  }

  /// y of the formula, of the statistics that the device has now, in the order of its steps.
  template <class Args>
  std::vector<float> expected(const Args& a) const {
    const auto m = mean.got(), s = inv_std.got();
    std::vector<float> out(p.count());
    for (size_t i = 0; i < out.size(); ++i) {
      const size_t j = i % size_t(p.c);
      const float scale = gamma.host[j] * s[j];
      float v = (x.host[i] - m[j]) * scale + beta.host[j];
      if (a.residual) v += 0.5f * residual.host[i];
      if (a.relu && v < 0) v = 0;
      if (a.max_code > 0) v = std::rint(std::min(std::max(v * (1 / kStep), 0.0f), a.max_code));
      out[i] = v;
    }
    return out;
  }
};

simt::Buffer<unsigned char> scratch_for(const Problem& p) {
  return simt::Buffer<unsigned char>(SIMT_NS::batch_norm_scratch_bytes(p.m, p.c));
}

void check_close(const char* what, size_t j, double got, double expected, double bound) {
  if (!(std::abs(got - expected) <= bound))
    FAIL(what << " " << j << ": got " << got << ", expected " << expected);
}

}  // namespace

KERNEL_TEST_CASE("batch statistics are those of a sum in double over two passes") {
  for (const Problem& p : kProblems) {
    CAPTURE(p.m, p.c);
    Forward f(p);
    SIMT_NS::batch_norm_train(f.args<Train>(false), scratch_for(p).data(), nullptr);
    const auto mean = f.mean.got(), var = f.var.got(), inv_std = f.inv_std.got();
    for (size_t j = 0; j < mean.size(); ++j) {
      double expected = 0, squares = 0;
      for (int64_t i = 0; i < p.m; ++i)
        expected += double(f.x.host[size_t(i * p.c) + j]) / double(p.m);
      for (int64_t i = 0; i < p.m; ++i) {
        const double d = double(f.x.host[size_t(i * p.c) + j]) - expected;
        squares += d * d / double(p.m);
      }
      // Rounded to float; a thousandth of a unit for what doubles lose.
      check_close("mean", j, mean[j], expected, 1.001 * kUnit * std::abs(expected));
      check_close("variance", j, var[j], squares, 1.001 * kUnit * squares + 1e-12);
      const double inverse = 1 / std::sqrt(squares + double(1e-3f));
      check_close("inverse deviation", j, inv_std[j], inverse, 1.001 * kUnit * inverse);
    }
  }
}

KERNEL_TEST_CASE("a variance keeps its digits far from zero") {
  const Problem p{2000, 1};
  Forward f(p);
  std::vector<float> x(p.count(), 1e6f);
  for (size_t i = 1; i < x.size(); i += 2) x[i] += 0.25f;
  const auto device_x = simt::Buffer<float>::from(x);
  Train a = f.args<Train>(false);
  a.x.data = device_x.data();
  SIMT_NS::batch_norm_train(a, scratch_for(p).data(), nullptr);
  CHECK(f.var.got()[0] == 0.015625f);
}

KERNEL_TEST_CASE("batch norm of a batch is its formula, bit for bit, in every form") {
  for (const Problem& p : kProblems)
    for (const bool residual : {false, true})
      for (const int form : {0, 1, 2}) {
        CAPTURE(p.m, p.c, residual, form);
        Forward f(p);
        Train a = f.args<Train>(residual);
        a.relu = form == 1;
        if (form == 2)
          a.step = kernels::Number<float>::in(f.step.on_device(kOne).data), a.max_code = 15,
          a.bytes = f.bytes.on_device(p.matrix());
        SIMT_NS::batch_norm_train(a, scratch_for(p).data(), nullptr);
        const auto expected = f.expected(a);
        CHECK(f.y.got() == expected);
        if (form == 2)
          CHECK(f.bytes.got() == std::vector<uint8_t>(expected.begin(), expected.end()));
        if (residual)
          a.y = f.residual.on_device(p.matrix());  // y may be the residual, or x
        else
          a.y = f.x.on_device(p.matrix());
        SIMT_NS::batch_norm_train(a, scratch_for(p).data(), nullptr);
        CHECK((residual ? f.residual : f.x).got() == expected);
      }
}

KERNEL_TEST_CASE("batch norm with given statistics is its formula, bit for bit, in every form") {
  for (const Problem& p : kProblems)
    for (const int form : {0, 1, 2}) {
      CAPTURE(p.m, p.c, form);
      Forward f(p);
      Eval a = f.args<Eval>(form != 1);
      const auto eps = simt::Buffer<float>::from(numbers(size_t(p.c), 7, 4));
      a.eps = {eps.data(), {p.c}};
      a.relu = form == 1;
      if (form == 2)
        a.step = kernels::Number<float>::in(f.step.on_device(kOne).data), a.max_code = 255,
        a.bytes = f.bytes.on_device(p.matrix());
      SIMT_NS::batch_norm_eval(a, nullptr);
      for (size_t j = 0; j < size_t(p.c); ++j)
        CHECK(f.inv_std.got()[j] ==
              float(1 / std::sqrt(double(f.var.host[j]) + double(eps.values()[j]))));
      const auto expected = f.expected(a);
      CHECK(f.y.got() == expected);
      if (form == 2) CHECK(f.bytes.got() == std::vector<uint8_t>(expected.begin(), expected.end()));
      a.inv_std = {};
      SIMT_NS::batch_norm_eval(a, nullptr);
      CHECK(f.y.got() == expected);
    }
}

KERNEL_TEST_CASE("the gradient of batch norm is its formula, whatever tells where it passes") {
  enum Mask { none, by_y, by_x, codes, codes_residual };
  for (const Problem& p : kProblems)
    for (const Mask mask : {none, by_y, by_x, codes, codes_residual})
      for (const bool fixed : {false, true}) {
        CAPTURE(p.m, p.c, int(mask), fixed);
        Forward f(p);
        Both<float> inv_stds(numbers(size_t(p.c), 8, 5));
        const std::vector<float> grad_y = numbers(p.count(), 9), y = numbers(p.count(), 10);
        Both<float> device_grad_y(grad_y), device_y(y), grad_x(y), grad_residual(y);
        Both<float> grad_gamma(f.beta.host), grad_beta(f.beta.host);
        Backward a;
        a.x = f.x.on_device(p.matrix()), a.grad_y = device_grad_y.on_device(p.matrix());
        a.gamma = f.gamma.on_device(p.channels()), a.mean = f.mean.on_device(p.channels());
        a.inv_std = inv_stds.on_device(p.channels());
        if (mask == by_y) a.y = device_y.on_device(p.matrix());
        if (mask >= by_x) a.beta = f.beta.on_device(p.channels());
        if (mask >= codes) a.step = kStep, a.max_code = 16;
        if (mask == codes_residual) a.residual = f.residual.on_device(p.matrix());
        a.residual_scale = 0.5f, a.fixed_statistics = fixed;
        a.grad_x = grad_x.on_device(p.matrix());
        a.grad_residual = grad_residual.on_device(p.matrix());
        a.grad_gamma = grad_gamma.on_device(p.channels());
        a.grad_beta = grad_beta.on_device(p.channels());
        SIMT_NS::batch_norm_backward(a, scratch_for(p).data(), nullptr);

        const auto got_gamma = grad_gamma.got(), got_beta = grad_beta.got();
        std::vector<float> expected_x(p.count()), expected_residual(p.count());
        for (size_t j = 0; j < size_t(p.c); ++j) {
          const double inv_std = inv_stds.host[j], scale = double(f.gamma.host[j]) * inv_std;
          const double batch = fixed ? 0.0 : 1 / double(p.m);
          const auto of_x = float(-scale * batch * inv_std * double(got_gamma[j]));
          const auto constant = float(-scale * batch * double(got_beta[j]));
          double sum = 0, products = 0, size = 0;
          for (size_t i = j; i < p.count(); i += size_t(p.c)) {
            const float x = f.x.host[i] - f.mean.host[j];
            float t = x * (f.gamma.host[j] * inv_stds.host[j]) + f.beta.host[j];
            if (mask == codes_residual) t += 0.5f * f.residual.host[i];
            const bool passed = mask == none   ? true
                                : mask == by_y ? y[i] > 0
                                : mask == by_x ? t > 0
                                               : t > 0 && t <= 2;
            const float d = passed ? grad_y[i] * (mask >= codes ? 8.0f : 1.0f) : 0.0f;
            sum += double(d), products += double(d) * double(x);
            size += std::abs(double(d)) * (1 + std::abs(double(x)));
            expected_x[i] = float(scale) * d + (of_x * x + constant);
            expected_residual[i] = 0.5f * d;
          }
          // The order of the sums in double, then one rounding.
          const double lost = double(p.m) * 0x1p-52 * size;
          check_close("gradient of beta", j, got_beta[j], sum, kUnit * std::abs(sum) + lost);
          check_close("gradient of gamma", j, got_gamma[j], products * inv_std,
                      1.001 * kUnit * std::abs(products * inv_std) + lost * inv_std);
        }
        CHECK(grad_x.got() == expected_x);
        CHECK(grad_residual.got() == expected_residual);
        a.grad_residual = {};
        a.grad_x = device_grad_y.on_device(p.matrix());  // may replace grad_y
        SIMT_NS::batch_norm_backward(a, scratch_for(p).data(), nullptr);
        CHECK(device_grad_y.got() == expected_x);
      }
}

KERNEL_TEST_CASE("batch norm of no rows gives statistics of no rows") {
  const Problem p{0, 40};
  Forward f(p);
  SIMT_NS::batch_norm_train(f.args<Train>(false), scratch_for(p).data(), nullptr);
  CHECK(f.mean.got() == std::vector<float>(40, 0));
  CHECK(f.var.got() == std::vector<float>(40, 0));
  CHECK(f.inv_std.got() == std::vector<float>(40, float(1 / std::sqrt(double(1e-3f)))));
}

}  // namespace apprentice
