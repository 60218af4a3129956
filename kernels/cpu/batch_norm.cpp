#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/batch_norm.h>
#include <apprentice/kernels/cpu/batch_norm_simd_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>

namespace apprentice::kernels {
namespace {

using Train = BatchNormTrain<float>;
using Eval = BatchNormEval<float>;
using Backward = BatchNormBackward<float>;

/// How [m, c] is cut: rows of few channels are joined into wide ones that fill vectors, and blocks
/// of wide rows fit the first cache. Depends on nothing but m and c, so neither do the sums.
struct Blocks {
  static constexpr int64_t kWidth = 64, kElements = 4096, kFewestRows = 8;

  int64_t m, c, join, width, rows, count;

  Blocks(int64_t m_, int64_t c_) : m(m_), c(c_) {
    join = std::lcm(c, int64_t(16)) / c;
    while (join * c < kWidth) join *= 2;
    width = join * c;
    rows = std::max(kFewestRows, kElements / width) * join;
    count = (m + rows - 1) / rows;
  }

  /// fn(first row, number of joined rows, join or 1, their width) for the joined rows of a block
  /// and for the rows left over.
  template <class Fn>
  void pieces(int64_t block, Fn fn) const {
    const int64_t begin = block * rows, end = std::min(m, begin + rows);
    const int64_t joined = (end - begin) / join, rest = (end - begin) % join;
    if (joined) fn(begin, joined, width);
    if (rest) fn(begin + joined * join, rest, c);
  }
};

/// Per-channel numbers repeated as often as channels stand in a wide row.
struct Wide {
  std::vector<float> values;

  explicit Wide(const Blocks& blocks) : values(size_t(blocks.width)) {}
  template <class Fn>
  Wide(const Blocks& blocks, Fn value) : Wide(blocks) {
    fill(blocks.c, value);
  }
  template <class Fn>
  void fill(int64_t c, Fn value) {
    for (size_t j = 0; j < size_t(c); ++j) values[j] = float(value(int64_t(j)));
    for (size_t j = size_t(c); j < values.size(); ++j) values[j] = values[j - size_t(c)];
  }
  const float* data() const { return values.data(); }
  float* data() { return values.data(); }
  /// Adds the first `width` sums to their channels.
  void fold(int64_t width, int64_t c, double* total) const {
    for (int64_t j = 0; j < width; ++j) total[j % c] += double(values[size_t(j)]);
  }
};

/// Two sums a block and channel, in double, of the calling thread; kept from call to call.
double* partial_sums(const Blocks& blocks) {
  static thread_local std::vector<double> kept;
  kept.assign(size_t(blocks.count * 2 * blocks.c), 0.0);
  return kept.data();
}

/// Runs fn(block) for all blocks on all cores.
template <class Fn>
void for_each_block(const Blocks& blocks, Fn fn) {
#pragma omp parallel for schedule(static) if (blocks.m * blocks.c >= kParallelElements)
  for (int64_t block = 0; block < blocks.count; ++block) fn(block);
}

/// Sum and sum of squares about the block's own mean: no cancellation however far the mean is from
/// 0, and x is read from memory once (Chan, Golub and LeVeque 1983, "Algorithms for computing the
/// sample variance", eq. 2.1).
void block_statistics(const BatchNormSimd& simd, const Blocks& blocks, const float* x,
                      int64_t block, double* sum, double* squares) {
  const int64_t c = blocks.c;
  const int64_t rows = std::min(blocks.rows, blocks.m - block * blocks.rows);
  Wide first(blocks), second(blocks);
  blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
    simd.column_sums(x + row * c, n, width, first.data());
    first.fold(width, c, sum);
  });
  const Wide center(blocks, [&](int64_t j) { return sum[j] / double(rows); });
  std::fill_n(sum, c, 0.0);
  blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
    simd.centered_sums(x + row * c, center.data(), n, width, first.data(), second.data());
    first.fold(width, c, sum);
    second.fold(width, c, squares);
  });
  for (int64_t j = 0; j < c; ++j) {
    squares[j] -= sum[j] * sum[j] / double(rows);
    sum[j] += double(rows) * double(center.data()[j]);
  }
}

void statistics(const BatchNormSimd& simd, const Blocks& blocks, const Train::Args& a) {
  const int64_t c = blocks.c;
  double* partial = partial_sums(blocks);
  for_each_block(blocks, [&](int64_t block) {
    double* own = partial + block * 2 * c;
    block_statistics(simd, blocks, a.x.data, block, own, own + c);
  });
  for (int64_t j = 0; j < c; ++j) {
    double sum = 0, squares = 0;
    for (int64_t block = 0; block < blocks.count; ++block) sum += partial[block * 2 * c + j];
    const double mean = sum / double(blocks.m);
    for (int64_t block = 0; block < blocks.count; ++block) {
      const double* own = partial + block * 2 * c;
      const double rows = double(std::min(blocks.rows, blocks.m - block * blocks.rows));
      const double offset = own[j] / rows - mean;
      squares += own[c + j] + rows * offset * offset;
    }
    const double var = squares / double(blocks.m);
    a.mean(j) = float(mean), a.var(j) = float(var);
    a.inv_std(j) = float(1 / std::sqrt(var + double(a.eps(a.eps.size(0) == 1 ? 0 : j))));
  }
}

template <class Args, class InvStd>
void normalize(const BatchNormSimd& simd, const Blocks& blocks, const Args& a, InvStd inv_std) {
  const Wide mean(blocks, [&](int64_t j) { return a.mean(j); });
  const Wide scale(blocks, [&](int64_t j) { return double(a.gamma(j)) * double(inv_std(j)); });
  const Wide beta(blocks, [&](int64_t j) { return a.beta(j); });
  for_each_block(blocks, [&](int64_t block) {
    blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
      const int64_t at = row * blocks.c;
      simd.normalize({a.x.data + at, a.residual ? a.residual.data + at : nullptr, a.y.data + at,
                      mean.data(), scale.data(), beta.data(), a.residual_scale, a.relu, n, width});
    });
  });
}

void train(const BatchNormSimd& simd, const Train::Args& a) {
  const Blocks blocks(a.x.size(0), a.x.size(1));
  statistics(simd, blocks, a);
  normalize(simd, blocks, a, [&](int64_t j) { return a.inv_std(j); });
}

void eval(const BatchNormSimd& simd, const Eval::Args& a) {
  const Blocks blocks(a.x.size(0), a.x.size(1));
  const auto inv_std = [&](int64_t j) {
    return float(1 / std::sqrt(double(a.var(j)) + double(a.eps(a.eps.size(0) == 1 ? 0 : j))));
  };
  if (a.inv_std)
    for (int64_t j = 0; j < blocks.c; ++j) a.inv_std(j) = inv_std(j);
  normalize(simd, blocks, a, inv_std);
}

/// Per-channel numbers that tell x from y, widened.
struct Channels {
  Wide mean, scale, beta;

  Channels(const Blocks& blocks, const Backward::Args& a)
      : mean(blocks, [&](int64_t j) { return a.mean(j); }),
        scale(blocks, [&](int64_t j) { return double(a.gamma(j)) * double(a.inv_std(j)); }),
        beta(blocks, [&](int64_t j) { return a.beta ? a.beta(j) : 0.0f; }) {}
};

/// The part of the arguments that starts at row `row`.
GradientBlock gradient_block(const Backward::Args& a, const Channels& channels, int64_t row,
                             int64_t rows, int64_t width) {
  const int64_t at = row * a.x.size(1);
  GradientBlock b{};
  b.x = a.x.data + at, b.grad_y = a.grad_y.data + at;
  b.y = a.y ? a.y.data + at : nullptr;
  b.grad_x = a.grad_x ? a.grad_x.data + at : nullptr;
  b.grad_residual = a.grad_residual ? a.grad_residual.data + at : nullptr;
  b.mean = channels.mean.data(), b.scale = channels.scale.data();
  b.beta = a.beta ? channels.beta.data() : nullptr;
  b.residual_scale = a.residual_scale;
  b.rows = rows, b.width = width;
  return b;
}

void gradient_sums(const BatchNormSimd& simd, const Blocks& blocks, const Backward::Args& a,
                   const Channels& channels) {
  const int64_t c = blocks.c;
  double* partial = partial_sums(blocks);
  for_each_block(blocks, [&](int64_t block) {
    Wide sum(blocks), products(blocks);
    double* own = partial + block * 2 * c;
    blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
      simd.gradient_sums(gradient_block(a, channels, row, n, width), sum.data(), products.data());
      sum.fold(width, c, own);
      products.fold(width, c, own + c);
    });
  });
  for (int64_t j = 0; j < c; ++j) {
    double sum = 0, products = 0;
    for (int64_t block = 0; block < blocks.count; ++block) {
      sum += partial[block * 2 * c + j];
      products += partial[block * 2 * c + c + j];
    }
    a.grad_beta(j) = float(sum);
    a.grad_gamma(j) = float(products * double(a.inv_std(j)));
  }
}

void backward(const BatchNormSimd& simd, const Backward::Args& a) {
  const Blocks blocks(a.x.size(0), a.x.size(1));
  const Channels channels(blocks, a);
  gradient_sums(simd, blocks, a, channels);
  if (!a.grad_x && !a.grad_residual) return;
  const double batch = a.fixed_statistics ? 0.0 : 1 / double(blocks.m);
  const auto scale = [&](int64_t j) { return double(a.gamma(j)) * double(a.inv_std(j)); };
  const Wide of_d(blocks, scale);
  const Wide of_x(blocks, [&](int64_t j) {
    return -scale(j) * batch * double(a.inv_std(j)) * double(a.grad_gamma(j));
  });
  const Wide constant(blocks,
                      [&](int64_t j) { return -scale(j) * batch * double(a.grad_beta(j)); });
  for_each_block(blocks, [&](int64_t block) {
    blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
      GradientBlock b = gradient_block(a, channels, row, n, width);
      b.of_d = of_d.data(), b.of_x = of_x.data(), b.constant = constant.data();
      simd.gradients(b);
    });
  });
}

template <class Args>
std::string refuse_empty(const Args& a) {
  return a.x.numel() == 0 ? "a size is zero" : "";
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(batch_norm) {
  using namespace apprentice::kernels;
  const auto set = APPRENTICE_SIMD_SET(batch_norm);
  add_simd<Train>(set, train, refuse_empty<Train::Args>);
  add_simd<Eval>(set, eval, refuse_empty<Eval::Args>);
  add_simd<Backward>(set, backward, refuse_empty<Backward::Args>);
}
