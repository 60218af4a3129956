#pragma once

#include <cmath>
#include <type_traits>

#include <apprentice/kernels/batch_norm.h>
#include <apprentice/kernels/cuda/reduce_axis_internal.cuh>

// Batch norm of [m, c]: sums of the columns in double (reduce_axis_internal.cuh), then one pass
// over the elements, in which a thread keeps to its column, whose numbers lie in registers. x is
// read twice, as the formula says; the variance comes of squares about the column's first number,
// which in double is as good as a pass of its own.
namespace apprentice::kernels::SIMT_NS {

struct TwoSums {
  double first, second;
};
struct TwoSumsKind {
  using State = TwoSums;
  SIMT_FN static State empty() { return {0, 0}; }
  SIMT_FN static State combine(State a, State b) {
    return {a.first + b.first, a.second + b.second};
  }
};

inline std::array<int64_t, 3> column_sizes(View2<const float> x) {
  return {1, x.size(0), x.size(1)};
}

/// What the passes need of scratch memory.
inline size_t batch_norm_scratch_bytes(View2<const float> x) {
  return parts_bytes<TwoSumsKind>(column_sizes(x));
}

inline constexpr int kColumnBatch = 4;

/// All elements of [m, c], columns by `Pass`: column(j, first) gives what its elements have in
/// common (`first` to one thread of those that ask), load(column, at) the inputs of element `at`,
/// and store(column, inputs, at) works. Inputs of kColumnBatch rows are under way at once, since
/// what is stored may lie where the next is loaded.
template <class Pass>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
column_pass_kernel(Pass pass, ReduceTiles tiles) {
  const int step = kTeamBlock / tiles.columns;
  for (int64_t tile = blockIdx.x; tile < tiles.count(); tile += gridDim.x) {
    const TilePart own(tiles, tile);
    if (own.i >= tiles.inner) continue;
    const auto column = pass.column(own.i, own.begin == 0);
    for (int64_t a = own.begin; a < own.end; a += kColumnBatch * step) {
      typename Pass::Inputs inputs[kColumnBatch];
      SIMT_UNROLL
      for (int u = 0; u < kColumnBatch; ++u)
        if (a + u * step < own.end) inputs[u] = pass.load((a + u * step) * tiles.inner + own.i);
      SIMT_UNROLL
      for (int u = 0; u < kColumnBatch; ++u)
        if (a + u * step < own.end)
          pass.store(column, inputs[u], (a + u * step) * tiles.inner + own.i);
    }
  }
}

template <class Pass>
void column_pass(const Pass& pass, View2<const float> x, simt::Stream stream) {
  const ReduceTiles tiles = reduce_tiles(column_sizes(x), 132 * 16, 2 * kColumnBatch);
  simt::launch(column_pass_kernel<Pass>, tiles.blocks(), kTeamBlock, 0, stream, pass, tiles);
}

/// Sum and squares of x - its column's first number.
struct StatisticsSource : TwoSumsKind {
  const float* x;
  int64_t c;
  SIMT_FN State add(State state, int64_t, int64_t i, int64_t j) const {
    const double d = double(x[i * c + j]) - double(x[j]);
    return {state.first + d, state.second + d * d};
  }
};
struct StatisticsTarget {
  BatchNormTrain<float>::Args args;
  SIMT_FN void store(TwoSums sums, int64_t j) const {
    const int64_t rows = args.x.size(0);
    const double m = rows > 0 ? double(rows) : 1, offset = sums.first / m;
    const double above = sums.second - sums.first * offset, var = above < 0 ? 0 : above / m;
    args.mean(j) = rows > 0 ? float(double(args.x.data[j]) + offset) : 0;
    args.var(j) = float(var);
    args.inv_std(j) = float(1 / std::sqrt(var + double(args.eps(args.eps.size(0) == 1 ? 0 : j))));
  }
};

/// rint(y inv_step) in [0, max_code], NaN being 0.
SIMT_FN float code_of(float y, float inv_step, float max_code) {
  const float t = y * inv_step;
  return !(t > 0) ? 0.0f : rintf(t < max_code ? t : max_code);
}

/// y of the statistics; Args is BatchNormTrain's or, which sets inv_std, BatchNormEval's.
template <class Args>
struct NormalizePass {
  static constexpr bool kEval = std::is_same_v<Args, BatchNormEval<float>::Args>;
  Args args;

  struct Column {
    float mean, scale, beta, residual_scale, inv_step;
  };
  struct Inputs {
    float x, residual;
  };
  SIMT_FN Column column(int64_t j, bool first) const {
    float inv_std;
    if constexpr (kEval) {
      inv_std = float(
          1 / std::sqrt(double(args.var(j)) + double(args.eps(args.eps.size(0) == 1 ? 0 : j))));
      if (first && args.inv_std) args.inv_std(j) = inv_std;
    } else {
      inv_std = args.inv_std(j);
    }
    return {args.mean(j), args.gamma(j) * inv_std, args.beta(j), args.residual_scale.get(),
            args.max_code > 0 ? 1 / args.step.get() : 0.0f};
  }
  SIMT_FN Inputs load(int64_t at) const {
    return {args.x.data[at], args.residual ? args.residual.data[at] : 0.0f};
  }
  SIMT_FN void store(const Column& column, const Inputs& in, int64_t at) const {
    float y = (in.x - column.mean) * column.scale + column.beta;
    if (args.residual) y += column.residual_scale * in.residual;
    if (args.relu && y < 0) y = 0;
    if (args.max_code > 0) y = code_of(y, column.inv_step, args.max_code);
    args.y.data[at] = y;
    if (args.max_code > 0 && args.bytes) args.bytes.data[at] = uint8_t(y);
  }
};

/// What both passes of the gradient take of an element, and d of it.
struct GradientInputs {
  BatchNormBackward<float>::Args args;

  struct Column {
    float mean, scale, beta, residual_scale, inv_step, most;
  };
  struct Inputs {
    float x, grad_y, mask;  ///< mask: y, or the residual
  };
  SIMT_FN Column channel(int64_t j) const {
    const float step = args.step.get();
    return {args.mean(j),
            args.gamma(j) * args.inv_std(j),
            args.beta ? args.beta(j) : 0.0f,
            args.residual_scale.get(),
            args.max_code > 0 ? 1 / step : 0.0f,
            step * args.max_code};
  }
  SIMT_FN Inputs load(int64_t at) const {
    const float* mask = args.y ? args.y.data : args.residual.data;
    return {args.x.data[at], args.grad_y.data[at], mask ? mask[at] : 0.0f};
  }
  SIMT_FN float let_pass(const Column& column, const Inputs& in) const {
    if (args.y) return in.mask > 0 ? in.grad_y : 0.0f;
    if (!args.beta) return in.grad_y;
    float t = (in.x - column.mean) * column.scale + column.beta;
    if (args.residual) t += column.residual_scale * in.mask;
    if (args.max_code > 0) return t > 0 && t <= column.most ? in.grad_y * column.inv_step : 0.0f;
    return t > 0 ? in.grad_y : 0.0f;
  }
};

/// Sums of d and of d (x - mean).
struct GradientSource : TwoSumsKind {
  GradientInputs inputs;
  SIMT_FN State add(State state, int64_t, int64_t i, int64_t j) const {
    const auto column = inputs.channel(j);
    const auto in = inputs.load(i * inputs.args.x.size(1) + j);
    const double d = double(inputs.let_pass(column, in));
    return {state.first + d, state.second + d * double(in.x - column.mean)};
  }
};
struct GradientTarget {
  BatchNormBackward<float>::Args args;
  SIMT_FN void store(TwoSums sums, int64_t j) const {
    args.grad_beta(j) = float(sums.first);
    args.grad_gamma(j) = float(sums.second * double(args.inv_std(j)));
  }
};

/// grad_x = of_d d + (of_x (x - mean) + constant) and grad_residual.
struct GradientPass : GradientInputs {
  struct Column : GradientInputs::Column {
    float of_d, of_x, constant;
  };
  SIMT_FN Column column(int64_t j, bool) const {
    const double inv_std = double(args.inv_std(j)), scale = double(args.gamma(j)) * inv_std;
    const double batch = args.fixed_statistics ? 0.0 : 1 / double(args.x.size(0));
    return {channel(j), float(scale), float(-scale * batch * inv_std * double(args.grad_gamma(j))),
            float(-scale * batch * double(args.grad_beta(j)))};
  }
  SIMT_FN void store(const Column& column, const Inputs& in, int64_t at) const {
    const float d = let_pass(column, in);
    if (args.grad_x)
      args.grad_x.data[at] =
          column.of_d * d + (column.of_x * (in.x - column.mean) + column.constant);
    if (args.grad_residual) args.grad_residual.data[at] = column.residual_scale * d;
  }
};

inline void batch_norm_train(const BatchNormTrain<float>::Args& args, void* scratch,
                             simt::Stream stream) {
  const StatisticsSource source{{}, args.x.data, args.x.size(1)};
  reduce_along(column_sizes(args.x), source, StatisticsTarget{args}, scratch, stream);
  column_pass(NormalizePass<BatchNormTrain<float>::Args>{args}, args.x, stream);
}

inline void batch_norm_eval(const BatchNormEval<float>::Args& args, simt::Stream stream) {
  column_pass(NormalizePass<BatchNormEval<float>::Args>{args}, args.x, stream);
}

inline void batch_norm_backward(const BatchNormBackward<float>::Args& args, void* scratch,
                                simt::Stream stream) {
  reduce_along(column_sizes(args.x), GradientSource{{}, {args}}, GradientTarget{args}, scratch,
               stream);
  if (args.grad_x || args.grad_residual) column_pass(GradientPass{{args}}, args.x, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
