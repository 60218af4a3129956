#pragma once

#include <omp.h>

#include <string>

#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/dense/onednn_internal.h>

namespace apprentice::kernels::onednn {

/// Sizes and descriptors that forward and both gradients share. Images are described as the NHWC
/// memory they are; weights as `any`, so that oneDNN names the layout it computes with.
struct ConvShape {
  dnnl::memory::dims x, w, y, stride, padding, dilation;
  int64_t groups = 1;

  ConvShape(const std::array<int64_t, 4>& x_sizes, const std::array<int64_t, 4>& w_sizes,
            const std::array<int64_t, 4>& y_sizes, const Conv2dGeometry& g)
      : x{x_sizes[0], x_sizes[3], x_sizes[1], x_sizes[2]},
        y{y_sizes[0], y_sizes[3], y_sizes[1], y_sizes[2]},
        stride{g.stride[0], g.stride[1]},
        padding{g.padding[0], g.padding[1]},
        dilation{g.dilation[0] - 1, g.dilation[1] - 1},
        groups(g.groups) {
    w = {w_sizes[0], w_sizes[3], w_sizes[1], w_sizes[2]};
    if (groups > 1) w = {groups, w_sizes[0] / groups, w_sizes[3], w_sizes[1], w_sizes[2]};
  }

  dnnl::memory::desc image(const dnnl::memory::dims& dims) const {
    return {dims, dnnl::memory::data_type::f32, dnnl::memory::format_tag::nhwc};
  }
  dnnl::memory::desc any_weight() const {
    return {w, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any};
  }
  dnnl::memory::desc user_weight() const {
    using tag = dnnl::memory::format_tag;
    return {w, dnnl::memory::data_type::f32, groups > 1 ? tag::gohwi : tag::ohwi};
  }
  dnnl::memory::desc channel_vector() const {
    return {{y[1]}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a};
  }
  Key key(int64_t flags) const {
    Key key{};
    size_t at = 0;
    for (const auto* dims : {&x, &w, &y, &stride, &padding, &dilation})
      for (int64_t v : *dims) key[at++] = v;
    key[at++] = groups, key[at++] = flags, key[at++] = omp_get_max_threads();
    return key;
  }
  /// What the gradients' descriptors ask for: the forward convolution.
  dnnl::convolution_forward::primitive_desc forward_hint() const {
    return {{dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, image(x),
             any_weight(), image(y), stride, dilation, padding, padding},
            engine()};
  }
};

/// "" if there is something to compute.
inline std::string refuse_empty(int64_t x_numel, int64_t w_numel, int64_t y_numel) {
  return x_numel == 0 || w_numel == 0 || y_numel == 0 ? "a size is zero" : "";
}

struct WeightTag {};

/// oneDNN's direct data gradient (conv2d_backward_onednn.cpp).
void backward_data(const Conv2dBackwardData<float>::Args& args);

}  // namespace apprentice::kernels::onednn
