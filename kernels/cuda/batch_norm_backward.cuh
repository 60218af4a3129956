#pragma once

#include <apprentice/kernels/batch_norm.h>
#include <apprentice/kernels/cuda/paired_columns_internal.cuh>

// The gradient of batch norm: two sums of each column in double, then one pass over the elements,
// as in batch_norm.cuh; Args are those of BatchNormBackward<float, X, Y>.
namespace apprentice::kernels::SIMT_NS {

/// What both passes of the gradient take of an element, and d of it.
template <class Args>
struct GradientInputs {
  Args args;

  struct Common {
    float residual_scale, inv_step, most;
  };
  struct Channel {
    float mean, scale, beta;
  };
  using Words = typename PairOf<decltype(Args::y)>::Type;
  struct Inputs {
    typename PairOf<decltype(Args::x)>::Type x;
    Words grad_y, mask;  ///< mask: y, or the residual
  };
  SIMT_FN Common common() const {
    const float step = args.step.get();
    return {args.residual_scale.get(), args.max_code > 0 ? 1 / step : 0.0f, step * args.max_code};
  }
  SIMT_FN Channel channel(int64_t j) const {
    return {args.mean(j), args.gamma(j) * args.inv_std(j), args.beta ? args.beta(j) : 0.0f};
  }
  SIMT_FN Inputs load(PairAccess pair, int64_t at) const {
    const auto* mask = args.y ? args.y.data : args.residual.data;
    return {pair.load(args.x.data + at), pair.load(args.grad_y.data + at),
            mask ? pair.load(mask + at) : Words{}};
  }
  /// d of an element.
  SIMT_FN float let_pass(const Common& common, const Channel& channel, float x, float grad_y,
                         float mask) const {
    if (args.y) return mask > 0 ? grad_y : 0.0f;
    if (!args.beta) return grad_y;
    float t = (x - channel.mean) * channel.scale + channel.beta;
    if (args.residual) t += common.residual_scale * mask;
    if (args.max_code > 0) return t > 0 && t <= common.most ? grad_y * common.inv_step : 0.0f;
    return t > 0 ? grad_y : 0.0f;
  }
};

/// Sums of d and of d (x - mean).
template <class Args>
struct GradientSource : PairSumsKind {
  using Inputs = typename GradientInputs<Args>::Inputs;
  struct Column {
    typename GradientInputs<Args>::Common common;
    typename GradientInputs<Args>::Channel channels[2];
  };
  GradientInputs<Args> inputs;
  PairedColumns paired;
  SIMT_FN Column column(int64_t i) const {
    const int64_t j = 2 * i;
    return {inputs.common(), {inputs.channel(j), inputs.channel(j + paired.pair(i).both)}};
  }
  SIMT_FN Inputs load(int64_t, int64_t row, int64_t i) const {
    return inputs.load(paired.pair(i), paired.at(row, i));
  }
  SIMT_FN State add(State state, const Column& column, const Inputs& in, int64_t) const {
    const auto x = unpacked(in.x), grad_y = unpacked(in.grad_y), mask = unpacked(in.mask);
    SIMT_UNROLL
    for (int k = 0; k < 2; ++k) {
      const auto& channel = column.channels[k];
      const double d =
          double(inputs.let_pass(column.common, channel, x.v[k], grad_y.v[k], mask.v[k]));
      state.of[k] = {state.of[k].first + d, state.of[k].second + d * double(x.v[k] - channel.mean)};
    }
    return state;
  }
};
template <class Args>
struct GradientColumn {
  Args args;
  SIMT_FN void store(TwoSums sums, int64_t j) const {
    args.grad_beta(j) = float(sums.first);
    args.grad_gamma(j) = float(sums.second * double(args.inv_std(j)));
  }
};

/// grad_x = of_d d + (of_x (x - mean) + constant) and grad_residual.
template <class Args>
struct GradientPass : GradientInputs<Args> {
  static constexpr int kRows = 2;  // of three tensors each
  using Base = GradientInputs<Args>;
  using typename Base::Common;
  using typename Base::Inputs;
  struct Column : Base::Channel {
    float of_d, of_x, constant;
  };
  SIMT_FN Column column(int64_t j, bool) const {
    const Args& a = this->args;
    const double inv_std = double(a.inv_std(j)), scale = double(a.gamma(j)) * inv_std;
    const double batch = a.fixed_statistics ? 0.0 : 1 / double(a.x.size(0));
    return {this->channel(j), float(scale),
            float(-scale * batch * inv_std * double(a.grad_gamma(j))),
            float(-scale * batch * double(a.grad_beta(j)))};
  }
  SIMT_FN void store(PairAccess pair, const Common& common, const Column* columns, const Inputs& in,
                     int64_t at) const {
    const auto x = unpacked(in.x), grad_y = unpacked(in.grad_y), mask = unpacked(in.mask);
    Neighbours<2> grad_x, grad_residual;
    SIMT_UNROLL
    for (int k = 0; k < 2; ++k) {
      const Column& column = columns[k];
      const float d = this->let_pass(common, column, x.v[k], grad_y.v[k], mask.v[k]);
      grad_x.v[k] = column.of_d * d + (column.of_x * (x.v[k] - column.mean) + column.constant);
      grad_residual.v[k] = common.residual_scale * d;
    }
    if (this->args.grad_x) pair.store(this->args.grad_x.data + at, grad_x);
    if (this->args.grad_residual) pair.store(this->args.grad_residual.data + at, grad_residual);
  }
};

template <class Args>
void batch_norm_backward(const Args& args, void* scratch, simt::Stream stream) {
  const int64_t m = args.x.size(0), c = args.x.size(1);
  const PairedColumns all = paired(c, args.x.data, args.grad_y.data, args.y.data,
                                   args.residual.data, args.grad_x.data, args.grad_residual.data);
  reduce_along(pair_sizes(m, c), GradientSource<Args>{{}, {args}, all},
               PairTarget<GradientColumn<Args>>{{args}, c}, scratch, stream);
  if (args.grad_x || args.grad_residual) column_pass(GradientPass<Args>{{args}}, m, all, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
