#pragma once

#include <cmath>

#include <apprentice/kernels/batch_norm.h>
#include <apprentice/kernels/cuda/paired_columns_internal.cuh>

// Batch norm of [m, c]: sums of the columns in double (reduce_axis_internal.cuh), then one pass
// over the elements. In both a thread keeps to two columns, whose numbers lie in registers. x is
// read twice, as the formula says; the variance comes of squares about the column's first number,
// which in double is as good as a pass of its own. Sums are taken in one order, whatever the types.
// Args are those of BatchNormTrain<float, X, Y> and so on, X and Y being f32 or bf16.
namespace apprentice::kernels::SIMT_NS {

/// What the passes need of scratch memory.
inline size_t batch_norm_scratch_bytes(int64_t m, int64_t c) {
  return parts_bytes<PairSumsKind>(pair_sizes(m, c));
}

/// Sum and squares of x - its column's first number.
template <class X>
struct StatisticsSource : PairSumsKind {
  using Inputs = typename Word<X, 2>::Type;
  using Column = Neighbours<2>;
  const X* x;
  PairedColumns paired;
  SIMT_FN Column column(int64_t i) const { return unpacked(load(0, 0, i)); }
  SIMT_FN Inputs load(int64_t, int64_t row, int64_t i) const {
    return paired.pair(i).load(x + paired.at(row, i));
  }
  SIMT_FN State add(State state, const Column& zero, const Inputs& in, int64_t) const {
    const auto v = unpacked(in);
    SIMT_UNROLL
    for (int k = 0; k < 2; ++k) {
      const double d = double(v.v[k]) - double(zero.v[k]);
      state.of[k] = {state.of[k].first + d, state.of[k].second + d * d};
    }
    return state;
  }
};

template <class Args>
struct StatisticsColumn {
  Args args;
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
template <class Args, bool kEval>
struct NormalizePass {
  static constexpr int kRows = 4;
  Args args;

  struct Common {
    float residual_scale, inv_step;
  };
  struct Column {
    float mean, scale, beta;
  };
  using Residual = typename PairOf<decltype(Args::residual)>::Type;
  struct Inputs {
    typename PairOf<decltype(Args::x)>::Type x;
    Residual residual;
  };
  SIMT_FN Common common() const {
    return {args.residual_scale.get(), args.max_code > 0 ? 1 / args.step.get() : 0.0f};
  }
  SIMT_FN Column column(int64_t j, bool first) const {
    float inv_std;
    if constexpr (kEval) {
      inv_std = float(
          1 / std::sqrt(double(args.var(j)) + double(args.eps(args.eps.size(0) == 1 ? 0 : j))));
      if (first && args.inv_std) args.inv_std(j) = inv_std;
    } else {
      inv_std = args.inv_std(j);
    }
    return {args.mean(j), args.gamma(j) * inv_std, args.beta(j)};
  }
  SIMT_FN Inputs load(PairAccess pair, int64_t at) const {
    return {pair.load(args.x.data + at),
            args.residual ? pair.load(args.residual.data + at) : Residual{}};
  }
  SIMT_FN float value(const Common& common, const Column& column, float x, float residual) const {
    float y = (x - column.mean) * column.scale + column.beta;
    if (args.residual) y += common.residual_scale * residual;
    if (args.relu && y < 0) y = 0;
    return args.max_code > 0 ? code_of(y, common.inv_step, args.max_code) : y;
  }
  SIMT_FN void store(PairAccess pair, const Common& common, const Column* columns, const Inputs& in,
                     int64_t at) const {
    const auto x = unpacked(in.x), residual = unpacked(in.residual);
    Neighbours<2> y;
    SIMT_UNROLL
    for (int k = 0; k < 2; ++k) y.v[k] = value(common, columns[k], x.v[k], residual.v[k]);
    pair.store(args.y.data + at, y);
    if (args.max_code > 0 && args.bytes) pair.store(args.bytes.data + at, y);
  }
};

template <class Args, bool kEval>
void normalize(const Args& args, simt::Stream stream) {
  const PairedColumns all =
      paired(args.x.size(1), args.x.data, args.residual.data, args.y.data, args.bytes.data);
  column_pass(NormalizePass<Args, kEval>{args}, args.x.size(0), all, stream);
}

template <class X>
StatisticsSource<X> statistics_of(View2<const X> x) {
  return {{}, x.data, paired(x.size(1), x.data)};
}

template <class Args>
void batch_norm_train(const Args& args, void* scratch, simt::Stream stream) {
  const int64_t m = args.x.size(0), c = args.x.size(1);
  reduce_along(pair_sizes(m, c), statistics_of(args.x),
               PairTarget<StatisticsColumn<Args>>{{args}, c}, scratch, stream);
  normalize<Args, false>(args, stream);
}

template <class Args>
void batch_norm_eval(const Args& args, simt::Stream stream) {
  normalize<Args, true>(args, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
