#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
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

/// Memory that the calling thread keeps for one purpose (`Tag`) and that grows to the largest
/// request.
template <class Tag, class T>
T* kept(int64_t count) {
  static thread_local std::vector<T> memory;
  if (int64_t(memory.size()) < count) memory.resize(size_t(count));
  return memory.data();
}

/// Per-channel numbers of one pass, each repeated as often as channels stand in a wide row.
class Wide {
 public:
  struct Tag {};
  Wide(const Blocks& blocks, int most)
      : c_(blocks.c),
        width_(blocks.width),
        next_(kept<Tag, float>(most * blocks.width)),
        end_(next_ + most * blocks.width) {}

  template <class Fn>
  const float* of(Fn value) {
    APPRENTICE_ASSERT(next_ < end_);
    float* values = std::exchange(next_, next_ + width_);
    for (int64_t j = 0; j < c_; ++j) values[j] = float(value(j));
    for (int64_t j = c_; j < width_; ++j) values[j] = values[j - c_];
    return values;
  }

 private:
  int64_t c_, width_;
  float *next_, *end_;
};

/// Adds the first `width` of sums to their channels.
void fold(const float* sums, int64_t width, int64_t c, double* total) {
  for (int64_t first = 0; first < width; first += c)
    for (int64_t j = 0; j < c; ++j) total[j] += double(sums[first + j]);
}

/// Sums of one block: wide rows of the thread that computes it.
struct BlockSums {
  struct Tag {};
  float *first, *second, *center;
  explicit BlockSums(const Blocks& blocks)
      : first(kept<Tag, float>(3 * blocks.width)),
        second(first + blocks.width),
        center(second + blocks.width) {}
};

/// Two sums a block and channel, in double, of the calling thread.
double* partial_sums(const Blocks& blocks) {
  struct Tag {};
  const int64_t count = blocks.count * 2 * blocks.c;
  double* sums = kept<Tag, double>(count);
  std::fill_n(sums, count, 0.0);
  return sums;
}

/// Which way a pass goes: the next one best begins where this one ends, in what the caches hold.
enum class Way { up, down };

/// Runs fn(block) for all blocks on all cores, each of which takes neighbouring ones.
template <class Fn>
void for_each_block(const Blocks& blocks, Way way, Fn fn) {
#pragma omp parallel if (blocks.m * blocks.c >= kParallelElements)
  {
    const int64_t threads = omp_get_num_threads(), rank = omp_get_thread_num();
    const int64_t begin = blocks.count * rank / threads, end = blocks.count * (rank + 1) / threads;
    for (int64_t i = begin; i < end; ++i) fn(way == Way::up ? i : begin + end - 1 - i);
  }
}

/// Sum and sum of squares about the mean of the block's first eighth, so x is read from memory
/// once (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1).
/// However far the block's mean is from 0, it is within sqrt(7) deviations of that of an eighth,
/// so the squares are at most 8 times what is left of them.
void block_statistics(const BatchNormSimd& simd, const Blocks& blocks, const float* x,
                      int64_t block, double* sum, double* squares) {
  const int64_t c = blocks.c;
  const int64_t rows = std::min(blocks.rows, blocks.m - block * blocks.rows);
  const BlockSums own(blocks);
  int64_t sampled = 0;
  blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
    if (sampled > 0) return;
    const int64_t eighth = (n + 7) / 8;
    simd.column_sums(x + row * c, eighth, width, own.first);
    fold(own.first, width, c, sum);
    sampled = eighth * width / c;
  });
  for (int64_t j = 0; j < blocks.width; ++j)
    own.center[j] = j < c ? float(sum[j] / double(sampled)) : own.center[j - c];
  std::fill_n(sum, c, 0.0);
  blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
    simd.centered_sums(x + row * c, own.center, n, width, own.first, own.second);
    fold(own.first, width, c, sum);
    fold(own.second, width, c, squares);
  });
  for (int64_t j = 0; j < c; ++j) {
    squares[j] -= sum[j] * sum[j] / double(rows);
    sum[j] += double(rows) * double(own.center[j]);
  }
}

void statistics(const BatchNormSimd& simd, const Blocks& blocks, const Train::Args& a) {
  const int64_t c = blocks.c;
  double* partial = partial_sums(blocks);
  for_each_block(blocks, Way::down, [&](int64_t block) {
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
  Wide wide(blocks, 3);
  NormalizeBlock all{};
  all.mean = wide.of([&](int64_t j) { return a.mean(j); });
  all.scale = wide.of([&](int64_t j) { return double(a.gamma(j)) * double(inv_std(j)); });
  all.beta = wide.of([&](int64_t j) { return a.beta(j); });
  all.residual_scale = a.residual_scale.get(), all.relu = a.relu;
  if (a.max_code > 0) all.inv_step = 1 / a.step.get(), all.max_code = a.max_code;
  for_each_block(blocks, Way::up, [&](int64_t block) {
    blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
      const int64_t at = row * blocks.c;
      NormalizeBlock b = all;
      b.x = a.x.data + at, b.y = a.y.data + at;
      b.residual = a.residual ? a.residual.data + at : nullptr;
      b.bytes = a.bytes ? a.bytes.data + at : nullptr;
      b.rows = n, b.width = width;
      simd.normalize(b);
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

/// What all blocks of a gradient share; six wide rows of `wide` at most, three here.
GradientBlock gradient_of(const Backward::Args& a, Wide& wide) {
  GradientBlock all{};
  all.mean = wide.of([&](int64_t j) { return a.mean(j); });
  all.scale = wide.of([&](int64_t j) { return double(a.gamma(j)) * double(a.inv_std(j)); });
  if (a.beta) all.beta = wide.of([&](int64_t j) { return a.beta(j); });
  all.residual_scale = a.residual_scale.get();
  const float step = a.step.get();
  if (a.max_code > 0) all.inv_step = 1 / step, all.most = step * a.max_code;
  return all;
}

/// The part of the arguments that starts at row `row`.
GradientBlock part_of(const GradientBlock& all, const Backward::Args& a, int64_t row, int64_t rows,
                      int64_t width) {
  const int64_t at = row * a.x.size(1);
  GradientBlock b = all;
  b.x = a.x.data + at, b.grad_y = a.grad_y.data + at;
  b.y = a.y ? a.y.data + at : nullptr;
  b.residual = a.residual ? a.residual.data + at : nullptr;
  b.grad_x = a.grad_x ? a.grad_x.data + at : nullptr;
  b.grad_residual = a.grad_residual ? a.grad_residual.data + at : nullptr;
  b.rows = rows, b.width = width;
  return b;
}

void gradient_sums(const BatchNormSimd& simd, const Blocks& blocks, const Backward::Args& a,
                   const GradientBlock& all) {
  const int64_t c = blocks.c;
  double* partial = partial_sums(blocks);
  for_each_block(blocks, Way::down, [&](int64_t block) {
    const BlockSums sums(blocks);
    double* own = partial + block * 2 * c;
    blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
      simd.gradient_sums(part_of(all, a, row, n, width), sums.first, sums.second);
      fold(sums.first, width, c, own);
      fold(sums.second, width, c, own + c);
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
  Wide wide(blocks, 6);
  GradientBlock all = gradient_of(a, wide);
  gradient_sums(simd, blocks, a, all);
  if (!a.grad_x && !a.grad_residual) return;
  const double batch = a.fixed_statistics ? 0.0 : 1 / double(blocks.m);
  const auto scale = [&](int64_t j) { return double(a.gamma(j)) * double(a.inv_std(j)); };
  all.of_d = wide.of(scale);
  all.of_x = wide.of([&](int64_t j) {
    return -scale(j) * batch * double(a.inv_std(j)) * double(a.grad_gamma(j));
  });
  all.constant = wide.of([&](int64_t j) { return -scale(j) * batch * double(a.grad_beta(j)); });
  for_each_block(blocks, Way::up, [&](int64_t block) {
    blocks.pieces(block, [&](int64_t row, int64_t n, int64_t width) {
      simd.gradients(part_of(all, a, row, n, width));
    });
  });
}

constexpr float kLargestCode = 0x1p22f;

template <class Args>
std::string refuse_forward(const Args& a) {
  if (a.max_code > kLargestCode) return fmt::format("codes up to {} exceed 2^22", a.max_code);
  return a.x.numel() == 0 ? "a size is zero" : "";
}

std::string refuse_backward(const Backward::Args& a) {
  return a.x.numel() == 0 ? "a size is zero" : "";
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(batch_norm) {
  using namespace apprentice::kernels;
  const auto set = APPRENTICE_SIMD_SET(batch_norm);
  add_simd<Train>(set, train, refuse_forward<Train::Args>);
  add_simd<Eval>(set, eval, refuse_forward<Eval::Args>);
  add_simd<Backward>(set, backward, refuse_backward);
}
