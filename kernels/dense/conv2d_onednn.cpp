#include <apprentice/base/unit.h>
#include <apprentice/kernels/dense/conv2d_onednn_internal.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

using onednn::ConvShape;
using Args = Conv2d<float>::Args;

enum class Add { none, in_place, other };

struct Forward {
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward primitive;
  std::optional<onednn::Reorder> weight;
};

Add add_of(const Args& args) {
  if (!args.residual) return Add::none;
  return args.residual.data == args.y.data ? Add::in_place : Add::other;
}

Forward make_forward(const ConvShape& shape, bool bias, Add add, bool relu) {
  dnnl::post_ops after;
  if (add == Add::in_place) after.append_sum(1.0f);
  if (add == Add::other) after.append_binary(dnnl::algorithm::binary_add, shape.image(shape.y));
  if (relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  dnnl::primitive_attr attr = onednn::attributes();
  attr.set_post_ops(after);
  const auto bias_desc = bias ? shape.channel_vector() : dnnl::memory::desc();
  Forward forward;
  forward.desc = {{dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                   shape.image(shape.x), shape.any_weight(), bias_desc, shape.image(shape.y),
                   shape.stride, shape.dilation, shape.padding, shape.padding},
                  attr,
                  onednn::engine()};
  forward.primitive = dnnl::convolution_forward(forward.desc);
  if (forward.desc.weights_desc() != shape.user_weight())
    forward.weight.emplace(shape.user_weight(), forward.desc.weights_desc());
  return forward;
}

void conv2d(const Args& args, Stream) {
  static onednn::Cache<Forward> cache;
  const ConvShape shape(args.x.sizes, args.w.sizes, args.y.sizes, args.geometry);
  const bool bias = bool(args.bias);
  const Add add = add_of(args);
  const auto forward = cache.get(shape.key(int64_t(add) * 4 + bias * 2 + args.relu),
                                 [&] { return make_forward(shape, bias, add, args.relu); });
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
  if (add == Add::other)
    memory.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                   onednn::wrap(desc.dst_desc(), args.residual.data));
  onednn::execute(forward->primitive, desc.scratchpad_desc(), std::move(memory));
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_onednn) {
  using namespace apprentice::kernels;
  kernel_table<Conv2d<float>>().add({.name = "conv2d_f32_cpu_onednn",
                                     .family = "onednn",
                                     .priority = 100,
                                     .refuse =
                                         [](const Args& a) {
                                           return onednn::refuse_empty(a.x.numel(), a.w.numel(),
                                                                       a.y.numel());
                                         },
                                     .run = conv2d});
}
