// oneDNN's Winograd F(4x4, 3x3). It takes images whose channels are blocked by 16, so each call
// copies x there and y back; bias, residual and ReLU go into the copy back. A family of its own, so
// that "onednn" is the direct algorithms alone.
#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/dense/conv2d_onednn_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

using onednn::ConvShape;
using Forward = Conv2d<float>::Args;
using DataArgs = Conv2dBackwardData<float>::Args;

/// Channels a block, and the fewest with which it beats the direct kernels: at 16 it loses to them
/// by half (32x32, batch 128), at 32 it takes three quarters of their time, at 64 somewhat over
/// half.
constexpr int64_t kBlock = 16, kFewestChannels = 32;

/// A prepared convolution, or none where oneDNN has no Winograd.
template <class Primitive>
struct Prepared {
  typename Primitive::primitive_desc desc;
  Primitive primitive;
  std::optional<onednn::Reorder> weight;
};

dnnl::memory::desc blocked(const dnnl::memory::dims& dims) {
  return {dims, dnnl::memory::data_type::f32, dnnl::memory::format_tag::nChw16c};
}

/// As for training: it transforms the weights itself. For inference oneDNN wants them transformed
/// by a reorder, which takes 0.8 ms for 64 x 64 channels, more than half of the convolution.
dnnl::convolution_forward::desc forward_desc(const ConvShape& s) {
  return {dnnl::prop_kind::forward_training,
          dnnl::algorithm::convolution_winograd,
          blocked(s.x),
          s.any_weight(),
          blocked(s.y),
          s.stride,
          s.dilation,
          s.padding,
          s.padding};
}

using PreparedForward = Prepared<dnnl::convolution_forward>;
using PreparedData = Prepared<dnnl::convolution_backward_data>;

template <class P>
std::optional<P> finish(P prepared, const ConvShape& shape) {
  prepared.weight.emplace(shape.user_weight(), prepared.desc.weights_desc());
  return prepared;
}

std::optional<PreparedForward> make_forward(const ConvShape& shape) {
  PreparedForward p;
  p.desc = dnnl::convolution_forward::primitive_desc(forward_desc(shape), onednn::attributes(),
                                                     onednn::engine(), true);
  if (!p.desc) return std::nullopt;
  p.primitive = dnnl::convolution_forward(p.desc);
  return finish(std::move(p), shape);
}

std::optional<PreparedData> make_data(const ConvShape& shape) {
  const dnnl::convolution_forward::primitive_desc hint(forward_desc(shape), onednn::engine(), true);
  if (!hint) return std::nullopt;
  PreparedData p;
  p.desc = dnnl::convolution_backward_data::primitive_desc(
      {dnnl::algorithm::convolution_winograd, blocked(shape.x), shape.any_weight(),
       blocked(shape.y), shape.stride, shape.dilation, shape.padding, shape.padding},
      onednn::attributes(), onednn::engine(), hint, true);
  if (!p.desc) return std::nullopt;
  p.primitive = dnnl::convolution_backward_data(p.desc);
  return finish(std::move(p), shape);
}

std::shared_ptr<const std::optional<PreparedForward>> prepared_forward(const Forward& a) {
  static onednn::Cache<std::optional<PreparedForward>> cache;
  const ConvShape shape(a.x.sizes, a.w.sizes, a.y.sizes, a.geometry);
  return cache.get(shape.key(0), [&] { return make_forward(shape); });
}

std::shared_ptr<const std::optional<PreparedData>> prepared_data(const DataArgs& a) {
  static onednn::Cache<std::optional<PreparedData>> cache;
  const ConvShape shape(a.grad_x.sizes, a.w.sizes, a.grad_y.sizes, a.geometry);
  return cache.get(shape.key(0), [&] { return make_data(shape); });
}

struct BlockedInTag {};
struct BlockedOutTag {};
template <class Tag>
float* workspace(const dnnl::memory::desc& desc) {
  return static_cast<float*>(onednn::workspace<Tag>(desc.get_size()));
}

/// fn(pixel row of NHWC, the same pixel's first block, step from block to block) for every pixel of
/// images [n, h, w, c].
template <class Fn>
void for_each_pixel(const std::array<int64_t, 4>& sizes, Fn fn) {
  const int64_t pixels = sizes[1] * sizes[2], c = sizes[3];
#pragma omp parallel for collapse(2) \
    schedule(static) if (sizes[0] * pixels * c >= kParallelElements)
  for (int64_t n = 0; n < sizes[0]; ++n)
    for (int64_t row = 0; row < sizes[1]; ++row)
      for (int64_t pixel = row * sizes[2]; pixel < (row + 1) * sizes[2]; ++pixel)
        fn((n * pixels + pixel) * c, n * pixels * c + pixel * kBlock, pixels * kBlock);
}

/// [n, h, w, c] -> [n, c/16, h, w, 16]
const float* to_blocked(View4<const float> x, const dnnl::memory::desc& desc) {
  float* to = workspace<BlockedInTag>(desc);
  for_each_pixel(x.sizes, [&](int64_t at, int64_t block, int64_t step) {
    for (int64_t c = 0; c < x.size(3); c += kBlock, block += step)
#pragma omp simd
      for (int64_t i = 0; i < kBlock; ++i) to[block + i] = x.data[at + c + i];
  });
  return to;
}

/// y = relu?( from + bias + residual ), from [n, c/16, h, w, 16]
template <bool kBias, bool kResidual, bool kRelu>
void from_blocked(const float* from, View1<const float> bias, View4<const float> residual,
                  View4<float> y) {
  for_each_pixel(y.sizes, [&](int64_t at, int64_t block, int64_t step) {
    for (int64_t c = 0; c < y.size(3); c += kBlock, block += step)
#pragma omp simd
      for (int64_t i = 0; i < kBlock; ++i) {
        float sum = from[block + i];
        if (kBias) sum += bias.data[c + i];
        if (kResidual) sum += residual.data[at + c + i];
        y.data[at + c + i] = kRelu && sum < 0 ? 0.0f : sum;
      }
  });
}

void finish_forward(const float* from, const Forward& a) {
  const auto run = [&]<bool kBias>() {
    if (a.residual && a.relu) return from_blocked<kBias, true, true>(from, a.bias, a.residual, a.y);
    if (a.residual) return from_blocked<kBias, true, false>(from, a.bias, a.residual, a.y);
    if (a.relu) return from_blocked<kBias, false, true>(from, a.bias, a.residual, a.y);
    from_blocked<kBias, false, false>(from, a.bias, a.residual, a.y);
  };
  a.bias ? run.operator()<true>() : run.operator()<false>();
}

template <class P>
void* reordered_weight(const P& prepared, const float* w) {
  void* to = onednn::workspace<onednn::WeightTag>(prepared.weight->to.get_size());
  prepared.weight->run(w, to);
  return to;
}

void forward(const Forward& a, Stream) {
  const auto kept = prepared_forward(a);
  const PreparedForward& p = **kept;
  float* y = workspace<BlockedOutTag>(p.desc.dst_desc());
  onednn::execute(
      p.primitive, p.desc.scratchpad_desc(),
      {{DNNL_ARG_SRC, onednn::wrap(p.desc.src_desc(), to_blocked(a.x, p.desc.src_desc()))},
       {DNNL_ARG_WEIGHTS, onednn::wrap(p.desc.weights_desc(), reordered_weight(p, a.w.data))},
       {DNNL_ARG_DST, onednn::wrap(p.desc.dst_desc(), y)}});
  finish_forward(y, a);
}

void backward_data(const DataArgs& a, Stream) {
  const auto kept = prepared_data(a);
  const PreparedData& p = **kept;
  const auto& d = p.desc;
  float* grad_x = workspace<BlockedOutTag>(d.diff_src_desc());
  onednn::execute(
      p.primitive, d.scratchpad_desc(),
      {{DNNL_ARG_DIFF_DST,
        onednn::wrap(d.diff_dst_desc(), to_blocked(a.grad_y, d.diff_dst_desc()))},
       {DNNL_ARG_WEIGHTS, onednn::wrap(d.weights_desc(), reordered_weight(p, a.w.data))},
       {DNNL_ARG_DIFF_SRC, onednn::wrap(d.diff_src_desc(), grad_x)}});
  from_blocked<false, false, false>(grad_x, {}, {}, a.grad_x);
}

/// Why F(4x4, 3x3) does not fit or does not pay, or "".
std::string refuse_shape(const std::array<int64_t, 4>& w, const Conv2dGeometry& g) {
  using Pair = std::array<int64_t, 2>;
  if (w[1] != 3 || w[2] != 3 || g.stride != Pair{1, 1} || g.dilation != Pair{1, 1})
    return "the window is no dense 3x3 of stride 1";
  if (g.groups != 1) return "there are groups";
  if (w[0] % kBlock != 0 || w[3] % kBlock != 0)
    return fmt::format("channels are no multiples of {}", kBlock);
  if (w[0] < kFewestChannels || w[3] < kFewestChannels)
    return fmt::format("direct is faster below {} channels", kFewestChannels);
  return cpu_features().avx512 ? "" : "the processor has no avx512";
}

constexpr const char* kNone = "oneDNN has no Winograd for it";

std::string refuse_forward(const Forward& a) {
  if (a.exact) return "sums of integers must be exact";
  std::string reason = refuse_shape(a.w.sizes, a.geometry);
  if (reason.empty()) reason = onednn::refuse_empty(a.x.numel(), a.w.numel(), a.y.numel());
  return reason.empty() && !*prepared_forward(a) ? kNone : reason;
}

std::string refuse_data(const DataArgs& a) {
  std::string reason = refuse_shape(a.w.sizes, a.geometry);
  if (reason.empty())
    reason = onednn::refuse_empty(a.grad_x.numel(), a.w.numel(), a.grad_y.numel());
  return reason.empty() && !*prepared_data(a) ? kNone : reason;
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_winograd_onednn) {
  using namespace apprentice::kernels;
  kernel_table<Conv2d<float>>().add({.name = "conv2d_f32_cpu_onednn_winograd",
                                     .family = "onednn_winograd",
                                     .priority = 110,
                                     .refuse = refuse_forward,
                                     .run = forward});
  kernel_table<Conv2dBackwardData<float>>().add(
      {.name = "conv2d_backward_data_f32_cpu_onednn_winograd",
       .family = "onednn_winograd",
       .priority = 110,
       .refuse = refuse_data,
       .run = backward_data});
}
