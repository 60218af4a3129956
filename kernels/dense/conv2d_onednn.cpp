#include <string_view>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/dense/conv2d_onednn_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

using onednn::ConvShape;
using Args = Conv2d<float>::Args;

struct Forward {
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward primitive;
  std::optional<onednn::Reorder> weight;
};

/// oneDNN 2.6.3 offers its batch-reduced GEMM convolution ("brgconv") first, which loses to its
/// direct one where there are few outputs: 3 -> 16 channels takes 1.5 against 0.7 ms, and 16 -> 16
/// up to three times as long, depending on addresses (32x32, batch 128, one thread).
constexpr int64_t kBrgconvOutputs = 33;

/// The implementation that suits the shape: oneDNN's first, or the next that is no brgconv.
dnnl::convolution_forward::primitive_desc choose(const dnnl::convolution_forward::desc& desc,
                                                 const dnnl::primitive_attr& attr, int64_t out) {
  dnnl::convolution_forward::primitive_desc chosen(desc, attr, onednn::engine());
  if (out >= kBrgconvOutputs) return chosen;
  while (std::string_view(chosen.impl_info_str()).starts_with("brgconv"))
    if (!chosen.next_impl()) return {desc, attr, onednn::engine()};
  return chosen;
}

Forward make_forward(const ConvShape& shape, bool bias, bool relu) {
  dnnl::post_ops after;
  if (relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  dnnl::primitive_attr attr = onednn::attributes();
  attr.set_post_ops(after);
  const auto bias_desc = bias ? shape.channel_vector() : dnnl::memory::desc();
  Forward forward;
  const dnnl::convolution_forward::desc desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, shape.image(shape.x),
      shape.any_weight(), bias_desc, shape.image(shape.y), shape.stride, shape.dilation,
      shape.padding, shape.padding);
  forward.desc = choose(desc, attr, shape.y[1]);
  forward.primitive = dnnl::convolution_forward(forward.desc);
  if (forward.desc.weights_desc() != shape.user_weight())
    forward.weight.emplace(shape.user_weight(), forward.desc.weights_desc());
  return forward;
}

/// y = relu?(y + residual). oneDNN could add in the same pass, but version 2.6.3 does so wrongly
/// (binary post-op where the channels do not fill its blocks) or crashes (sum followed by ReLU).
void add_residual(View4<const float> residual, View4<float> y, bool relu) {
  const View1<const float> r{residual.data, {residual.numel()}};
  const View1<float> all{y.data, {y.numel()}};
  if (relu) {
    map_binary(View1<const float>(all), r, all, [](float a, float b) {
      const float sum = a + b;
      return sum < 0 ? 0.0f : sum;
    });
  } else {
    map_binary(View1<const float>(all), r, all, [](float a, float b) { return a + b; });
  }
}

void conv2d(const Args& args, Stream) {
  static onednn::Cache<Forward> cache;
  const ConvShape shape(args.x.sizes, args.w.sizes, args.y.sizes, args.geometry);
  const bool bias = bool(args.bias), relu = args.relu && !args.residual;
  const auto forward =
      cache.get(shape.key(bias * 2 + relu), [&] { return make_forward(shape, bias, relu); });
  const void* weight = args.w.data;
  if (forward->weight) {
    void* reordered = onednn::workspace<onednn::WeightTag>(forward->weight->to.get_size());
    forward->weight->run(weight, reordered);
    weight = reordered;
  }
  const auto& desc = forward->desc;
  std::unordered_map<int, dnnl::memory> memory{
      {DNNL_ARG_SRC, onednn::wrap(desc.src_desc(), args.x.data)},
      {DNNL_ARG_WEIGHTS, onednn::wrap(desc.weights_desc(), weight)},
      {DNNL_ARG_DST, onednn::wrap(desc.dst_desc(), args.y.data)}};
  if (bias) memory.emplace(DNNL_ARG_BIAS, onednn::wrap(desc.bias_desc(), args.bias.data));
  onednn::execute(forward->primitive, desc.scratchpad_desc(), std::move(memory));
  if (args.residual) add_residual(args.residual, args.y, args.relu);
}

std::string refuse(const Args& a) {
  if (a.residual && a.residual.data == a.y.data) return "the residual is the output itself";
  return onednn::refuse_empty(a.x.numel(), a.w.numel(), a.y.numel());
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_onednn) {
  using namespace apprentice::kernels;
  kernel_table<Conv2d<float>>().add({.name = "conv2d_f32_cpu_onednn",
                                     .family = "onednn",
                                     .priority = 100,
                                     .refuse = refuse,
                                     .run = conv2d});
}
