#include <apprentice/kernels/cpu/batch_norm_simd_internal.h>
#include <apprentice/kernels/cpu/vector_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

/// Vectors a group: their accumulators and constants fit the registers.
constexpr int kGroup = 4;

/// body(group of V vectors of type T, first column) over all columns of a block.
template <class Body>
APPRENTICE_INLINE void over_columns(int64_t width, Body body) {
  int64_t j = 0;
  for (; j + kGroup * kLanes <= width; j += kGroup * kLanes) body.template run<Vector, kGroup>(j);
  for (; j + kLanes <= width; j += kLanes) body.template run<Vector, 1>(j);
  for (; j < width; ++j) body.template run<float, 1>(j);
}

template <class V>
constexpr int64_t kStep = int64_t(sizeof(V) / sizeof(float));

struct ColumnSums {
  const float* x;
  int64_t rows, width;
  float* sum;

  template <class V, int N>
  APPRENTICE_INLINE_MEMBER void run(int64_t j) const {
    V total[N] = {};
    for (int64_t i = 0; i < rows; ++i)
      for (int v = 0; v < N; ++v) total[v] += load_as<V>(x + i * width + j + v * kStep<V>);
    for (int v = 0; v < N; ++v) store(sum + j + v * kStep<V>, total[v]);
  }
};

struct CenteredSums {
  const float *x, *center;
  int64_t rows, width;
  float *sum, *squares;

  template <class V, int N>
  APPRENTICE_INLINE_MEMBER void run(int64_t j) const {
    V total[N] = {}, square[N] = {}, middle[N];
    for (int v = 0; v < N; ++v) middle[v] = load_as<V>(center + j + v * kStep<V>);
    for (int64_t i = 0; i < rows; ++i)
      for (int v = 0; v < N; ++v) {
        const V d = load_as<V>(x + i * width + j + v * kStep<V>) - middle[v];
        total[v] += d;
        square[v] += d * d;
      }
    for (int v = 0; v < N; ++v) {
      store(sum + j + v * kStep<V>, total[v]);
      store(squares + j + v * kStep<V>, square[v]);
    }
  }
};

template <bool kResidual, bool kRelu>
struct Normalize {
  const NormalizeBlock& b;

  template <class V, int N>
  APPRENTICE_INLINE_MEMBER void run(int64_t j) const {
    V mean[N], scale[N], beta[N];
    for (int v = 0; v < N; ++v) {
      const int64_t at = j + v * kStep<V>;
      mean[v] = load_as<V>(b.mean + at), scale[v] = load_as<V>(b.scale + at);
      beta[v] = load_as<V>(b.beta + at);
    }
    for (int64_t i = 0; i < b.rows; ++i)
      for (int v = 0; v < N; ++v) {
        const int64_t at = i * b.width + j + v * kStep<V>;
        V y = (load_as<V>(b.x + at) - mean[v]) * scale[v] + beta[v];
        if (kResidual) y += b.residual_scale * load_as<V>(b.residual + at);
        if (kRelu) y = relu(y);
        store(b.y + at, y);
      }
  }
};

/// What tells where the ReLU let pass.
enum class Mask { none, y, x };

template <Mask kMask>
struct GradientSums {
  const GradientBlock& b;
  float *sum, *products;

  template <class V, int N>
  APPRENTICE_INLINE_MEMBER void run(int64_t j) const {
    V total[N] = {}, product[N] = {}, mean[N], scale[N], beta[N];
    for (int v = 0; v < N; ++v) {
      mean[v] = load_as<V>(b.mean + j + v * kStep<V>);
      if (kMask != Mask::x) continue;
      scale[v] = load_as<V>(b.scale + j + v * kStep<V>);
      beta[v] = load_as<V>(b.beta + j + v * kStep<V>);
    }
    for (int64_t i = 0; i < b.rows; ++i)
      for (int v = 0; v < N; ++v) {
        const int64_t at = i * b.width + j + v * kStep<V>;
        const V x = load_as<V>(b.x + at) - mean[v];
        V d = load_as<V>(b.grad_y + at);
        if (kMask == Mask::y) d = where_positive(load_as<V>(b.y + at), d);
        if (kMask == Mask::x) d = where_positive(V(x * scale[v] + beta[v]), d);
        total[v] += d;
        product[v] += d * x;
      }
    for (int v = 0; v < N; ++v) {
      store(sum + j + v * kStep<V>, total[v]);
      store(products + j + v * kStep<V>, product[v]);
    }
  }
};

template <Mask kMask, bool kX, bool kResidual>
struct Gradients {
  const GradientBlock& b;

  template <class V, int N>
  APPRENTICE_INLINE_MEMBER void run(int64_t j) const {
    V mean[N], of_d[N], of_x[N], constant[N], scale[N], beta[N];
    for (int v = 0; v < N; ++v) {
      const int64_t at = j + v * kStep<V>;
      mean[v] = load_as<V>(b.mean + at), of_d[v] = load_as<V>(b.of_d + at);
      of_x[v] = load_as<V>(b.of_x + at), constant[v] = load_as<V>(b.constant + at);
      if (kMask == Mask::x) scale[v] = load_as<V>(b.scale + at), beta[v] = load_as<V>(b.beta + at);
    }
    for (int64_t i = 0; i < b.rows; ++i)
      for (int v = 0; v < N; ++v) {
        const int64_t at = i * b.width + j + v * kStep<V>;
        V x = {}, d = load_as<V>(b.grad_y + at);
        if (kX || kMask == Mask::x) x = load_as<V>(b.x + at) - mean[v];
        if (kMask == Mask::y) d = where_positive(load_as<V>(b.y + at), d);
        if (kMask == Mask::x) d = where_positive(V(x * scale[v] + beta[v]), d);
        if (kX) store(b.grad_x + at, V(of_d[v] * d + (of_x[v] * x + constant[v])));
        if (kResidual) store(b.grad_residual + at, V(b.residual_scale * d));
      }
  }
};

void column_sums(const float* x, int64_t rows, int64_t width, float* sum) {
  over_columns(width, ColumnSums{x, rows, width, sum});
}

void centered_sums(const float* x, const float* center, int64_t rows, int64_t width, float* sum,
                   float* squares) {
  over_columns(width, CenteredSums{x, center, rows, width, sum, squares});
}

void normalize(const NormalizeBlock& b) {
  if (b.residual && b.relu) return over_columns(b.width, Normalize<true, true>{b});
  if (b.residual) return over_columns(b.width, Normalize<true, false>{b});
  if (b.relu) return over_columns(b.width, Normalize<false, true>{b});
  over_columns(b.width, Normalize<false, false>{b});
}

void gradient_sums(const GradientBlock& b, float* sum, float* products) {
  if (b.y) return over_columns(b.width, GradientSums<Mask::y>{b, sum, products});
  if (b.beta) return over_columns(b.width, GradientSums<Mask::x>{b, sum, products});
  over_columns(b.width, GradientSums<Mask::none>{b, sum, products});
}

template <Mask kMask>
void gradients_masked(const GradientBlock& b) {
  if (b.grad_x && b.grad_residual) return over_columns(b.width, Gradients<kMask, true, true>{b});
  if (b.grad_x) return over_columns(b.width, Gradients<kMask, true, false>{b});
  if (b.grad_residual) over_columns(b.width, Gradients<kMask, false, true>{b});
}

void gradients(const GradientBlock& b) {
  if (b.y) return gradients_masked<Mask::y>(b);
  if (b.beta) return gradients_masked<Mask::x>(b);
  gradients_masked<Mask::none>(b);
}

}  // namespace

const BatchNormSimd batch_norm{column_sums, centered_sums, normalize, gradient_sums, gradients};

}  // namespace apprentice::kernels::APPRENTICE_ISA
