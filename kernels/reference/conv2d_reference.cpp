#include <apprentice/kernels/conv2d.h>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

/// Position in the input of tap `tap` of output `out`; outside the input if negative or too large.
int64_t input_at(const Conv2dGeometry& g, size_t axis, int64_t out, int64_t tap) {
  return out * g.stride[axis] + tap * g.dilation[axis] - g.padding[axis];
}

/// The output whose tap `tap` reads input `in`, or -1.
int64_t output_at(const Conv2dGeometry& g, size_t axis, int64_t in, int64_t tap, int64_t out_size) {
  const int64_t scaled = in + g.padding[axis] - tap * g.dilation[axis];
  if (scaled < 0 || scaled % g.stride[axis] != 0) return -1;
  return scaled / g.stride[axis] < out_size ? scaled / g.stride[axis] : -1;
}

template <class T, class X, class Y>
double convolve_at(const typename Conv2d<T, X, Y>::Args& a, int64_t n, int64_t p, int64_t q,
                   int64_t o) {
  const int64_t ci = a.w.size(3), first = o / (a.w.size(0) / a.geometry.groups) * ci;
  double sum = a.bias ? double(a.bias(o)) : 0.0;
  for (int64_t r = 0; r < a.w.size(1); ++r) {
    const int64_t h = input_at(a.geometry, 0, p, r);
    if (h < 0 || h >= a.x.size(1)) continue;
    for (int64_t s = 0; s < a.w.size(2); ++s) {
      const int64_t w = input_at(a.geometry, 1, q, s);
      if (w < 0 || w >= a.x.size(2)) continue;
      const X* x = &a.x(n, h, w, first);
      const T* weight = &a.w(o, r, s, 0);
      for (int64_t i = 0; i < ci; ++i) sum += double(x[i]) * double(weight[i]);
    }
  }
  return sum;
}

template <class T, class X, class Y>
void conv2d(const typename Conv2d<T, X, Y>::Args& a) {
#pragma omp parallel for collapse(2)
  for (int64_t n = 0; n < a.y.size(0); ++n)
    for (int64_t p = 0; p < a.y.size(1); ++p)
      for (int64_t q = 0; q < a.y.size(2); ++q)
        for (int64_t o = 0; o < a.y.size(3); ++o) {
          double sum = convolve_at<T, X, Y>(a, n, p, q, o);
          if (a.residual) sum += double(a.residual(n, p, q, o));
          a.y(n, p, q, o) = Y(T(a.relu && sum < 0 ? 0.0 : sum));
        }
}

template <class T, class X, class Y>
double backward_data_at(const typename Conv2dBackwardData<T, X, Y>::Args& a, int64_t n, int64_t h,
                        int64_t w, int64_t c) {
  const int64_t ci = a.w.size(3), per_group = a.w.size(0) / a.geometry.groups;
  const int64_t first = c / ci * per_group;
  double sum = 0;
  for (int64_t r = 0; r < a.w.size(1); ++r) {
    const int64_t p = output_at(a.geometry, 0, h, r, a.grad_y.size(1));
    if (p < 0) continue;
    for (int64_t s = 0; s < a.w.size(2); ++s) {
      const int64_t q = output_at(a.geometry, 1, w, s, a.grad_y.size(2));
      if (q < 0) continue;
      for (int64_t o = first; o < first + per_group; ++o)
        sum += double(a.grad_y(n, p, q, o)) * double(a.w(o, r, s, c % ci));
    }
  }
  return sum;
}

template <class T, class X, class Y>
void backward_data(const typename Conv2dBackwardData<T, X, Y>::Args& a) {
#pragma omp parallel for collapse(2)
  for (int64_t n = 0; n < a.grad_x.size(0); ++n)
    for (int64_t h = 0; h < a.grad_x.size(1); ++h)
      for (int64_t w = 0; w < a.grad_x.size(2); ++w)
        for (int64_t c = 0; c < a.grad_x.size(3); ++c)
          a.grad_x(n, h, w, c) = X(T(backward_data_at<T, X, Y>(a, n, h, w, c)));
}

template <class T, class X, class Y>
double backward_weight_at(const typename Conv2dBackwardWeight<T, X, Y>::Args& a, int64_t o,
                          int64_t r, int64_t s, int64_t i) {
  const int64_t ci = a.grad_w.size(3);
  const int64_t c = o / (a.grad_w.size(0) / a.geometry.groups) * ci + i;
  double sum = 0;
  for (int64_t n = 0; n < a.x.size(0); ++n)
    for (int64_t p = 0; p < a.grad_y.size(1); ++p) {
      const int64_t h = input_at(a.geometry, 0, p, r);
      if (h < 0 || h >= a.x.size(1)) continue;
      for (int64_t q = 0; q < a.grad_y.size(2); ++q) {
        const int64_t w = input_at(a.geometry, 1, q, s);
        if (w < 0 || w >= a.x.size(2)) continue;
        sum += double(a.grad_y(n, p, q, o)) * double(a.x(n, h, w, c));
      }
    }
  return sum;
}

template <class T, class X, class Y>
void backward_weight(const typename Conv2dBackwardWeight<T, X, Y>::Args& a) {
#pragma omp parallel for collapse(2)
  for (int64_t o = 0; o < a.grad_w.size(0); ++o)
    for (int64_t r = 0; r < a.grad_w.size(1); ++r)
      for (int64_t s = 0; s < a.grad_w.size(2); ++s)
        for (int64_t i = 0; i < a.grad_w.size(3); ++i)
          a.grad_w(o, r, s, i) = T(backward_weight_at<T, X, Y>(a, o, r, s, i));
  if (!a.grad_bias) return;
  const int64_t out = a.grad_bias.size(0), pixels = out ? a.grad_y.numel() / out : 0;
  for (int64_t o = 0; o < out; ++o) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += double(a.grad_y.data[i * out + o]);
    a.grad_bias(o) = T(sum);
  }
}

template <class T, class X, class Y>
void add_all() {
  add_reference<Conv2d<T, X, Y>>(conv2d<T, X, Y>);
  add_reference<Conv2dBackwardData<T, X, Y>>(backward_data<T, X, Y>);
  add_reference<Conv2dBackwardWeight<T, X, Y>>(backward_weight<T, X, Y>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(conv2d_reference) {
  using namespace apprentice;
  kernels::add_all<float, float, float>();
  kernels::add_all<double, double, double>();
  kernels::add_all<float, Bf16, Bf16>();
  kernels::add_all<float, float, Bf16>();
  kernels::add_all<float, Bf16, float>();
}
