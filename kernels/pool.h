#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

// Tensors are of T: f32, f64, or bf16, of which a kernel gives the rounded results of its f32
// kernel (kernels/types.h); where the comment says so, codes in u8.
namespace apprentice::kernels {

/// Windows of a pooling; pairs are (height, width). Adaptive windows divide any size evenly:
/// [floor(i in / out), ceil((i + 1) in / out)); the other fields mean nothing then.
struct Pool2dGeometry {
  std::array<int64_t, 2> kernel_size{2, 2};
  std::array<int64_t, 2> stride{2, 2};
  std::array<int64_t, 2> padding{0, 0};
  bool count_include_pad = true;  ///< average: padding counts in the divisor
  bool adaptive = false;

  struct Window {
    int64_t begin, end;  ///< inside the image
    int64_t size;        ///< padding included
  };
  /// Window of output `i` along an axis (0 height, 1 width). Device code sees it too.
  constexpr Window window(int axis, int64_t i, int64_t in_size, int64_t out_size) const {
    const auto a = size_t(axis);
    if (adaptive) {
      const int64_t begin = i * in_size / out_size;
      const int64_t end = ((i + 1) * in_size + out_size - 1) / out_size;
      return {begin, end, end - begin};
    }
    const int64_t start = i * stride[a] - padding[a];
    return {std::max<int64_t>(start, 0), std::min(start + kernel_size[a], in_size), kernel_size[a]};
  }
  /// Size of the output along an axis of a pooling that is not adaptive; 0 if no window fits.
  int64_t out_size(int axis, int64_t in_size) const {
    const auto a = size_t(axis);
    const int64_t room = in_size + 2 * padding[a] - kernel_size[a];
    return room < 0 ? 0 : room / stride[a] + 1;
  }
};

/// y[n,p,q,c] = the largest x in the window; padding never wins (padding must be smaller than the
/// window). NaN wins over numbers. T = u8 takes activation codes, whose smallest is 0.
///   x [n, h, w, c], y [n, p, q, c]
///   argmax [n, p, q, c], or absent: h * w_size + w of the first largest in row-major order
template <class T>
struct MaxPool2d {
  static constexpr std::string_view name = "max_pool2d", types = types_of<T>;
  struct Args {
    View4<const T> x;
    View4<T> y;
    View4<int32_t> argmax;
    Pool2dGeometry geometry;
  };
};

/// grad_x[n, argmax] += grad_y, in row-major order of grad_y; grad_x [n, h, w, c] is overwritten.
/// `geometry` is the forward's: which windows an input may have won.
template <class T>
struct MaxPool2dBackward {
  static constexpr std::string_view name = "max_pool2d_backward", types = types_of<T>;
  struct Args {
    View4<const T> grad_y;
    View4<const int32_t> argmax;
    View4<T> grad_x;
    Pool2dGeometry geometry;
  };
};

/// y[n,p,q,c] = sum of the window / divisor, the divisor being the window's size, with padding or
/// without. Sums in T (f32 of bf16), row-major.
///   x [n, h, w, c], y [n, p, q, c]
template <class T>
struct AvgPool2d {
  static constexpr std::string_view name = "avg_pool2d", types = types_of<T>;
  struct Args {
    View4<const T> x;
    View4<T> y;
    Pool2dGeometry geometry;
  };
};

/// grad_x = sum over the windows that hold it of grad_y / divisor; overwritten.
template <class T>
struct AvgPool2dBackward {
  static constexpr std::string_view name = "avg_pool2d_backward", types = types_of<T>;
  struct Args {
    View4<const T> grad_y;
    View4<T> grad_x;
    Pool2dGeometry geometry;
  };
};

/// y[n,c] = mean over the pixels of x[n,:,:,c]; x [n, h, w, c] with at least one pixel. Sums in
/// row-major order, f32 at least; of bf16 y is f32, as no later layer needs it small.
template <class T>
struct GlobalAvgPool {
  static constexpr std::string_view name = "global_avg_pool", types = types_of<T>;
  struct Args {
    View4<const T> x;
    View2<compute_of<T>> y;
  };
};

/// grad_x[n,h,w,c] = grad_y[n,c] / (h w); overwritten.
template <class T>
struct GlobalAvgPoolBackward {
  static constexpr std::string_view name = "global_avg_pool_backward", types = types_of<T>;
  struct Args {
    View2<const compute_of<T>> grad_y;
    View4<T> grad_x;
  };
};

/// Parameter-free shortcut, option A of He et al. 2015 (arXiv:1512.03385, section 4.2): every
/// stride-th pixel; the absent channels are zero, floor(absent / 2) of them in front.
///   x [n, h, w, c], y [n, ceil(h / stride), ceil(w / stride), out >= c]
template <class T>
struct ShortcutA {
  static constexpr std::string_view name = "shortcut_a", types = types_of<T>;
  struct Args {
    View4<const T> x;
    View4<T> y;
    int64_t stride = 2;
  };
};

/// Its transpose: grad_x takes grad_y at the pixels that were read, 0 elsewhere; overwritten.
template <class T>
struct ShortcutABackward {
  static constexpr std::string_view name = "shortcut_a_backward", types = types_of<T>;
  struct Args {
    View4<const T> grad_y;
    View4<T> grad_x;
    int64_t stride = 2;
  };
};

}  // namespace apprentice::kernels
