#include <apprentice/kernels/batch_norm.h>

#include <algorithm>
#include <array>
#include <string>

#include <apprentice/kernels/quantize.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::kEpsilon;
using test::Outputs;
using test::Random;

namespace {

/// Rows that one f32 partial sum may span (a block holds at most 64 wide rows a column).
constexpr double kRowsOfSum = 64;

struct Problem {
  int64_t m, c;
  float offset;  ///< mean of x, which its deviation is 1 from
  View2<const float> x, residual, grad_y;
  View1<const float> gamma, beta, eps;
  float residual_scale;
  bool relu, with_residual;

  explicit Problem(Random& random)
      : m(random.pick({1, 2, 5, 63, 64, 65, 300, 1025})),
        c(random.pick({1, 3, 8, 16, 17, 32, 64, 100})),
        offset(float(random.pick({0, 0, 3, -100}))),
        x(random.uniform<2>({m, c}, offset - 1.5f, offset + 1.5f)),
        residual(random.uniform<2>({m, c})),
        grad_y(random.uniform<2>({m, c})),
        gamma(random.uniform<1>({c}, 0.5f, 1.5f)),
        beta(random.uniform<1>({c})),
        eps(random.uniform<1>({random.flip() ? c : 1}, 1e-3f, 2e-3f)),
        residual_scale(random.flip() ? 1.0f : 0.25f),
        relu(random.flip()),
        with_residual(random.flip()) {}

  double largest() const { return std::abs(double(offset)) + 1.5; }
  View2<const float> residual_or_none() const {
    return with_residual ? residual : View2<const float>{};
  }
};

/// The largest 1 / sqrt(var + eps) of a channel.
double largest_inv_std(const Problem& p) {
  double largest = 0;
  for (int64_t j = 0; j < p.c; ++j) {
    double mean = 0, var = 0;
    for (int64_t i = 0; i < p.m; ++i) mean += double(p.x(i, j)) / double(p.m);
    for (int64_t i = 0; i < p.m; ++i) var += std::pow(double(p.x(i, j)) - mean, 2) / double(p.m);
    largest = std::max(largest, 1 / std::sqrt(var + 1e-3));
  }
  return largest;
}

}  // namespace

TEST_CASE("every batch_norm_train kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(0u, 40u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  // A block's mean is rounded once at the size of x, then corrected by a sum of kRowsOfSum
  // differences of at most 3. Squares are summed with a relative error, which inv_std halves.
  const double mean_bound = kEpsilon * (p.largest() + kRowsOfSum * 3);
  // They are taken about another mean, which may make them 8 times as large as what is left.
  const double relative = 8 * (kRowsOfSum + 6) * kEpsilon;
  const double inv_std = largest_inv_std(p), inv_std_bound = relative * inv_std;
  const double y_bound =
      8 * kEpsilon * (3 * inv_std * 1.5 + 2) + 1.5 * (3 * inv_std_bound + inv_std * mean_bound);
  test::agree<BatchNormTrain<float>>([&](Outputs& out) {
    BatchNormTrain<float>::Args a;
    a.x = p.x, a.gamma = p.gamma, a.beta = p.beta, a.eps = p.eps;
    a.residual = p.residual_or_none(), a.residual_scale = p.residual_scale, a.relu = p.relu;
    a.y = out.view<2>({p.m, p.c}, y_bound);
    a.mean = out.view<1>({p.c}, mean_bound), a.var = out.view<1>({p.c}, relative * 9);
    a.inv_std = out.view<1>({p.c}, inv_std_bound);
    return a;
  });
}

TEST_CASE("every batch_norm_eval kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(100u, 120u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  const auto mean = random.uniform<1>({p.c}, p.offset - 1, p.offset + 1);
  const auto var = random.uniform<1>({p.c}, 0.1f, 2.0f);
  // |x - mean| <= 2.5 and inv_std <= 3.2, and x - mean carries a rounding at its own size.
  const double bound = 8 * kEpsilon * (2.5 * 3.2 * 1.5 + 2);
  test::agree<BatchNormEval<float>>([&](Outputs& out) {
    BatchNormEval<float>::Args a;
    a.x = p.x, a.gamma = p.gamma, a.beta = p.beta, a.mean = mean, a.var = var, a.eps = p.eps;
    a.residual = p.residual_or_none(), a.residual_scale = p.residual_scale, a.relu = p.relu;
    a.y = out.view<2>({p.m, p.c}, bound);
    a.inv_std = out.view<1>({p.c}, 2 * kEpsilon * 3.2);
    return a;
  });
}

TEST_CASE("every batch_norm_backward kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(200u, 240u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  const auto mean = random.uniform<1>({p.c}, p.offset - 1, p.offset + 1);
  const auto inv_std = random.uniform<1>({p.c}, 0.5f, 2.0f);
  const auto y = random.uniform<2>({p.m, p.c});
  const bool recompute = random.flip();
  const bool fixed = random.flip(), grad_x = random.flip(), grad_residual = random.flip();
  const double m = double(p.m), largest_xhat = 2.5 * 2;
  const double beta_bound = (kRowsOfSum + 1) * kEpsilon * m;
  const double gamma_bound = (kRowsOfSum + 4) * kEpsilon * m * largest_xhat;
  const double x_bound = 1.5 * 2 *
                         (8 * kEpsilon * (2 + largest_xhat * largest_xhat) +
                          (beta_bound + largest_xhat * gamma_bound) / m);
  test::agree<BatchNormBackward<float>>([&](Outputs& out) {
    BatchNormBackward<float>::Args a;
    a.x = p.x, a.grad_y = p.grad_y, a.gamma = p.gamma, a.mean = mean, a.inv_std = inv_std;
    if (p.relu && !recompute) a.y = y;
    if (p.relu && recompute) a.beta = p.beta;
    a.residual_scale = p.residual_scale, a.fixed_statistics = fixed;
    if (grad_x) a.grad_x = out.view<2>({p.m, p.c}, x_bound);
    if (grad_residual) a.grad_residual = out.view<2>({p.m, p.c}, kEpsilon);
    a.grad_gamma = out.view<1>({p.c}, gamma_bound), a.grad_beta = out.view<1>({p.c}, beta_bound);
    return a;
  });
}

TEST_CASE("batch_norm_train gives the same bits on any number of threads") {
  Random random(5);
  const int64_t m = 5000, c = 16;
  const auto x = random.uniform<2>({m, c}), ones = random.uniform<2>({1, c}, 1, 1);
  const float eps = 1e-5f;
  std::vector<std::vector<float>> results;
  const int before = omp_get_max_threads();
  for (int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    Outputs out;
    BatchNormTrain<float>::Args a;
    a.x = x, a.gamma = a.beta = {ones.data, {c}}, a.eps = {&eps, {1}};
    a.y = out.view<2>({m, c}, 0);
    a.mean = out.view<1>({c}, 0), a.var = out.view<1>({c}, 0), a.inv_std = out.view<1>({c}, 0);
    launch<BatchNormTrain<float>>(a);
    results.emplace_back(a.y.data, a.y.data + a.y.numel());
  }
  omp_set_num_threads(before);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("batch_norm_train's variance stands a mean of a million deviations") {
  Random random(9);
  const int64_t m = 700, c = 5;
  const auto x = random.fill<2>({m, c}, [&] { return 1e6f + float(random.below(4)); });
  const auto ones = random.uniform<1>({c}, 1, 1), eps = random.uniform<1>({1}, 1, 1);
  const double relative = 8 * (kRowsOfSum + 6) * kEpsilon;
  test::agree<BatchNormTrain<float>>([&](Outputs& out) {
    BatchNormTrain<float>::Args a;
    a.x = x, a.gamma = ones, a.beta = ones, a.eps = eps;
    a.mean = out.view<1>({c}, 1e6 * kEpsilon);
    // A variance is below 9/4; y is off by the rounded mean.
    a.var = out.view<1>({c}, relative * 2.25), a.inv_std = out.view<1>({c}, relative);
    a.y = out.view<2>({m, c}, 1e6 * kEpsilon);
    return a;
  });
}

TEST_CASE("the ReLU's mask from x is that from y, bit for bit, without a residual") {
  const auto family = GENERATE("simd", "avx2", "avx512");
  CAPTURE(family);
  Random random(8);
  const int64_t m = 1000, c = 24;
  const auto x = random.uniform<2>({m, c}), grad_y = random.uniform<2>({m, c});
  const auto gamma = random.uniform<1>({c}, 0.5f, 1.5f), beta = random.uniform<1>({c});
  const float eps = 1e-5f;
  Outputs out;
  BatchNormTrain<float>::Args forward;
  forward.x = x, forward.gamma = gamma, forward.beta = beta, forward.eps = {&eps, {1}};
  forward.relu = true, forward.y = out.view<2>({m, c}, 0);
  forward.mean = out.view<1>({c}, 0), forward.var = out.view<1>({c}, 0);
  forward.inv_std = out.view<1>({c}, 0);
  kernel_table<BatchNormTrain<float>>().select(forward, {family, false}).run(forward, {});
  const auto grad_x = [&](bool from_y) {
    BatchNormBackward<float>::Args a;
    a.x = x, a.grad_y = grad_y, a.gamma = gamma, a.mean = forward.mean, a.inv_std = forward.inv_std;
    if (from_y) a.y = forward.y;
    if (!from_y) a.beta = beta;
    a.grad_x = out.view<2>({m, c}, 0);
    a.grad_gamma = out.view<1>({c}, 0), a.grad_beta = out.view<1>({c}, 0);
    kernel_table<BatchNormBackward<float>>().select(a, {family, false}).run(a, {});
    return std::vector<float>(a.grad_x.data, a.grad_x.data + m * c);
  };
  CHECK(grad_x(true) == grad_x(false));
}

TEST_CASE("batch_norm_backward may overwrite grad_y") {
  Random random(6);
  const int64_t m = 130, c = 20;
  const auto x = random.uniform<2>({m, c}), grad_y = random.uniform<2>({m, c});
  const auto ones = random.uniform<1>({c}, 1, 1);
  const double bound = 1.5 * 2 * (100 * kEpsilon * 10);
  test::agree<BatchNormBackward<float>>([&](Outputs& out) {
    BatchNormBackward<float>::Args a;
    const auto shared = out.updated(grad_y, bound);
    a.x = a.y = x, a.grad_y = shared, a.grad_x = shared;
    a.gamma = a.mean = a.inv_std = ones;
    a.grad_gamma = out.view<1>({c}, m * 70 * kEpsilon * 2);
    a.grad_beta = out.view<1>({c}, m * 65 * kEpsilon);
    return a;
  });
}

namespace {

/// A batch norm with the codes of what it gives, by kernels of one family.
struct Coded {
  static constexpr int64_t m = 700;
  int64_t c;
  std::string family;
  View2<const float> x, grad_y, residual;
  View1<const float> gamma, beta, eps;
  float step = 0.013f, max_code = 63, inv_step = 1 / step, residual_scale = 0.02f;
  Outputs out;
  View1<float> mean, var, inv_std;

  Coded(Random& random, int64_t channels, std::string kernels)
      : c(channels),
        family(std::move(kernels)),
        x(random.uniform<2>({m, c})),
        grad_y(random.uniform<2>({m, c})),
        gamma(random.uniform<1>({c}, 0.2f, 0.5f)),
        beta(random.uniform<1>({c}, -0.3f, 0.3f)),
        eps(random.uniform<1>({1}, 1e-3f, 2e-3f)) {
    if (random.flip()) residual = random.fill<2>({m, c}, [&] { return float(random.below(64)); });
    mean = out.view<1>({c}, 0), var = out.view<1>({c}, 0), inv_std = out.view<1>({c}, 0);
  }

  template <class Op>
  void run(const typename Op::Args& a) {
    kernel_table<Op>().select(a, {family, false}).run(a, {});
  }
  template <class Args>
  Args forward(bool codes) {
    Args a;
    a.x = x, a.gamma = gamma, a.beta = beta, a.eps = eps;
    a.residual = residual, a.residual_scale = residual_scale, a.relu = true;
    if (codes) a.step = step, a.max_code = max_code;
    a.y = out.view<2>({m, c}, 0), a.inv_std = inv_std;
    return a;
  }
  std::vector<float> values(View2<float> y) { return {y.data, y.data + y.numel()}; }
};

}  // namespace

TEST_CASE("codes of a batch norm are those of quantizing what it gives, bit for bit") {
  const std::string family = GENERATE("simd", "avx2", "avx512");
  const auto seed = GENERATE(range(300u, 306u));
  CAPTURE(family, seed);
  Random random(seed);
  Coded p(random, random.pick({1, 16, 24, 100}), family);
  auto plain = p.forward<BatchNormTrain<float>::Args>(false);
  auto coded = p.forward<BatchNormTrain<float>::Args>(true);
  plain.mean = coded.mean = p.mean, plain.var = coded.var = p.var;
  std::vector<uint8_t> bytes(size_t(Coded::m * p.c), 99);
  coded.bytes = {bytes.data(), {Coded::m, p.c}};
  p.run<BatchNormTrain<float>>(plain);
  p.run<BatchNormTrain<float>>(coded);
  const auto eval = [&](auto& from) {
    auto a = p.forward<BatchNormEval<float>::Args>(from.max_code > 0);
    a.mean = p.mean, a.var = p.var;
    p.run<BatchNormEval<float>>(a);
    return p.values(a.y);
  };
  const auto quantized = [&](std::vector<float> y) {
    const View1<float> all{y.data(), {int64_t(y.size())}};
    launch<QuantizeUniform<float>>({all, all, p.inv_step, 0, p.max_code});
    return y;
  };
  const std::vector<float> codes = p.values(coded.y);
  CHECK(bool(codes == quantized(p.values(plain.y))));
  CHECK(bool(eval(coded) == quantized(eval(plain))));
  CHECK(*std::max_element(codes.begin(), codes.end()) == p.max_code);
  CHECK(bool(std::equal(codes.begin(), codes.end(), bytes.begin(),
                        [](float code, uint8_t byte) { return code == float(byte); })));
}

TEST_CASE("the gradient of a batch norm of codes is that of its halves, bit for bit") {
  const std::string family = GENERATE("simd", "avx2", "avx512");
  const auto seed = GENERATE(range(310u, 316u));
  CAPTURE(family, seed);
  Random random(seed);
  Coded p(random, random.pick({1, 16, 24, 100}), family);
  auto plain = p.forward<BatchNormTrain<float>::Args>(false);
  plain.mean = p.mean, plain.var = p.var;
  p.run<BatchNormTrain<float>>(plain);
  const float most = p.step * p.max_code;
  const View2<float> halfway = p.out.view<2>({Coded::m, p.c}, 0);
  launch<QuantizeUniformBackward<float>>({{plain.y.data, {plain.y.numel()}},
                                          {p.grad_y.data, {p.grad_y.numel()}},
                                          {halfway.data, {halfway.numel()}},
                                          0,
                                          most,
                                          p.inv_step});
  const auto grads = [&](bool codes) {
    BatchNormBackward<float>::Args a;
    a.x = p.x, a.gamma = p.gamma, a.mean = p.mean, a.inv_std = p.inv_std;
    a.grad_y = codes ? p.grad_y : View2<const float>(halfway);
    a.residual_scale = p.residual_scale;
    if (codes) {
      a.beta = p.beta, a.residual = p.residual;
      a.step = p.step, a.max_code = p.max_code;
    } else {
      a.y = plain.y;
    }
    a.grad_x = p.out.view<2>({Coded::m, p.c}, 0);
    a.grad_residual = p.out.view<2>({Coded::m, p.c}, 0);
    a.grad_gamma = p.out.view<1>({p.c}, 0), a.grad_beta = p.out.view<1>({p.c}, 0);
    p.run<BatchNormBackward<float>>(a);
    return std::array{p.values(a.grad_x), p.values(a.grad_residual)};
  };
  const auto fused = grads(true), halves = grads(false);
  CHECK(bool(fused[0] == halves[0]));
  CHECK(bool(fused[1] == halves[1]));
}

TEST_CASE("every kernel of a batch norm of codes agrees with the reference") {
  const auto seed = GENERATE(range(320u, 330u));
  CAPTURE(seed);
  Random random(seed);
  const Problem p(random);
  const float step = 0.1f, max_code = 15;
  const auto mean = random.uniform<1>({p.c}, p.offset - 1, p.offset + 1);
  const auto inv_std = random.uniform<1>({p.c}, 0.5f, 2.0f);
  test::agree<BatchNormEval<float>>([&](Outputs& out) {
    BatchNormEval<float>::Args a;
    a.x = p.x, a.gamma = p.gamma, a.beta = p.beta, a.mean = mean, a.var = inv_std, a.eps = p.eps;
    a.residual = p.residual_or_none(), a.relu = true;
    a.step = step, a.max_code = max_code;
    a.y = out.view<2>({p.m, p.c}, 1);  // a value next to a tie may become either code
    return a;
  });
  const double m = double(p.m), d = 1 / double(step), xhat = 2.5 * 2;
  const double beta_bound = (kRowsOfSum + 2) * kEpsilon * m * d;
  const double gamma_bound = (kRowsOfSum + 5) * kEpsilon * m * d * xhat;
  test::agree<BatchNormBackward<float>>([&](Outputs& out) {
    BatchNormBackward<float>::Args a;
    a.x = p.x, a.grad_y = p.grad_y, a.gamma = p.gamma, a.mean = mean, a.inv_std = inv_std;
    a.beta = p.beta, a.residual = p.residual_or_none();
    a.step = step, a.max_code = max_code;
    a.grad_x = out.view<2>(
        {p.m, p.c},
        1.5 * 2 * (8 * kEpsilon * d * (2 + xhat * xhat) + (beta_bound + xhat * gamma_bound) / m));
    a.grad_gamma = out.view<1>({p.c}, gamma_bound), a.grad_beta = out.view<1>({p.c}, beta_bound);
    return a;
  });
}
