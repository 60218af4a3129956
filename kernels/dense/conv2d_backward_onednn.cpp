#include <apprentice/base/unit.h>
#include <apprentice/kernels/dense/conv2d_onednn_internal.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

using onednn::ConvShape;
using DataArgs = Conv2dBackwardData<float>::Args;
using WeightArgs = Conv2dBackwardWeight<float>::Args;

struct BackwardData {
  dnnl::convolution_backward_data::primitive_desc desc;
  dnnl::convolution_backward_data primitive;
  std::optional<onednn::Reorder> weight;
};

BackwardData make_data(const ConvShape& shape) {
  BackwardData backward;
  backward.desc = {
      {dnnl::algorithm::convolution_direct, shape.image(shape.x), shape.any_weight(),
       shape.image(shape.y), shape.stride, shape.dilation, shape.padding, shape.padding},
      onednn::attributes(),
      onednn::engine(),
      shape.forward_hint()};
  backward.primitive = dnnl::convolution_backward_data(backward.desc);
  if (backward.desc.weights_desc() != shape.user_weight())
    backward.weight.emplace(shape.user_weight(), backward.desc.weights_desc());
  return backward;
}

}  // namespace

void onednn::backward_data(const DataArgs& args) {
  static onednn::Cache<BackwardData> cache;
  const ConvShape shape(args.grad_x.sizes, args.w.sizes, args.grad_y.sizes, args.geometry);
  const auto backward = cache.get(shape.key(0), [&] { return make_data(shape); });
  const void* weight = args.w.data;
  if (backward->weight) {
    void* reordered = onednn::workspace<onednn::WeightTag>(backward->weight->to.get_size());
    backward->weight->run(weight, reordered);
    weight = reordered;
  }
  const auto& desc = backward->desc;
  onednn::execute(backward->primitive, desc.scratchpad_desc(),
                  {{DNNL_ARG_DIFF_DST, onednn::wrap(desc.diff_dst_desc(), args.grad_y.data)},
                   {DNNL_ARG_WEIGHTS, onednn::wrap(desc.weights_desc(), weight)},
                   {DNNL_ARG_DIFF_SRC, onednn::wrap(desc.diff_src_desc(), args.grad_x.data)}});
}

namespace {

void backward_data(const DataArgs& args, Stream) { onednn::backward_data(args); }

struct BackwardWeight {
  dnnl::convolution_backward_weights::primitive_desc desc;
  dnnl::convolution_backward_weights primitive;
  std::optional<onednn::Reorder> weight;
};

BackwardWeight make_weight(const ConvShape& shape, bool bias) {
  BackwardWeight backward;
  const auto bias_desc = bias ? shape.channel_vector() : dnnl::memory::desc();
  backward.desc = {
      {dnnl::algorithm::convolution_direct, shape.image(shape.x), shape.any_weight(), bias_desc,
       shape.image(shape.y), shape.stride, shape.dilation, shape.padding, shape.padding},
      onednn::attributes(),
      onednn::engine(),
      shape.forward_hint()};
  backward.primitive = dnnl::convolution_backward_weights(backward.desc);
  if (backward.desc.diff_weights_desc() != shape.user_weight())
    backward.weight.emplace(backward.desc.diff_weights_desc(), shape.user_weight());
  return backward;
}

void backward_weight(const WeightArgs& args, Stream) {
  static onednn::Cache<BackwardWeight> cache;
  const ConvShape shape(args.x.sizes, args.grad_w.sizes, args.grad_y.sizes, args.geometry);
  const bool bias = bool(args.grad_bias);
  const auto backward = cache.get(shape.key(bias), [&] { return make_weight(shape, bias); });
  const auto& desc = backward->desc;
  void* grad_w = args.grad_w.data;
  if (backward->weight)
    grad_w = onednn::workspace<onednn::WeightTag>(backward->weight->from.get_size());
  std::unordered_map<int, dnnl::memory> memory{
      {DNNL_ARG_SRC, onednn::wrap(desc.src_desc(), args.x.data)},
      {DNNL_ARG_DIFF_DST, onednn::wrap(desc.diff_dst_desc(), args.grad_y.data)},
      {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(desc.diff_weights_desc(), grad_w)}};
  if (bias)
    memory.emplace(DNNL_ARG_DIFF_BIAS, onednn::wrap(desc.diff_bias_desc(), args.grad_bias.data));
  onednn::execute(backward->primitive, desc.scratchpad_desc(), std::move(memory));
  if (backward->weight) backward->weight->run(grad_w, args.grad_w.data);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_backward_onednn) {
  using namespace apprentice::kernels;
  kernel_table<Conv2dBackwardData<float>>().add(
      {.name = "conv2d_backward_data_f32_cpu_onednn",
       .family = "onednn",
       .priority = 100,
       .refuse =
           [](const DataArgs& a) {
             return onednn::refuse_empty(a.grad_x.numel(), a.w.numel(), a.grad_y.numel());
           },
       .run = backward_data});
  kernel_table<Conv2dBackwardWeight<float>>().add(
      {.name = "conv2d_backward_weight_f32_cpu_onednn",
       .family = "onednn",
       .priority = 100,
       .refuse =
           [](const WeightArgs& a) {
             return onednn::refuse_empty(a.x.numel(), a.grad_w.numel(), a.grad_y.numel());
           },
       .run = backward_weight});
}
