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

/// Adding and subtracting it rounds |t| <= 2^22 to an integer, half to even, with instructions that
/// every processor has.
constexpr float kRounder = 0x1.8p23f;

template <class V>
APPRENTICE_INLINE V code_of(V y, float inv_step, float max_code) {
  const V t = y * inv_step, floored = t > 0.0f ? t : V{};
  const V clamped = floored < max_code ? floored : V{} + max_code;
  return (clamped + kRounder) - kRounder;
}

enum class Output { plain, relu, codes };

template <bool kResidual, Output kOutput>
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
        if (kOutput == Output::relu) y = relu(y);
        if (kOutput == Output::codes) y = code_of(y, b.inv_step, b.max_code);
        store(b.y + at, y);
        if (kOutput == Output::codes && b.bytes) store_bytes(b.bytes + at, y);
      }
  }
};

/// What tells where the ReLU let pass, and the quantizer: nothing, y, or t of x (and residual).
enum class Mask { none, y, x, codes, codes_residual };
constexpr bool recomputes(Mask mask) { return mask != Mask::none && mask != Mask::y; }

/// d of the element at `at`; x is its x - mean.
template <Mask kMask, class V>
APPRENTICE_INLINE V let_pass(const GradientBlock& b, int64_t at, V x, V scale, V beta) {
  const V d = load_as<V>(b.grad_y + at);
  if (kMask == Mask::none) return d;
  if (kMask == Mask::y) return where_positive(load_as<V>(b.y + at), d);
  V t = x * scale + beta;
  if (kMask == Mask::x) return where_positive(t, d);
  if (kMask == Mask::codes_residual) t += b.residual_scale * load_as<V>(b.residual + at);
  return (t > 0.0f) & (t <= b.most) ? V(d * b.inv_step) : V{};
}

template <Mask kMask>
struct GradientSums {
  const GradientBlock& b;
  float *sum, *products;

  template <class V, int N>
  APPRENTICE_INLINE_MEMBER void run(int64_t j) const {
    V total[N] = {}, product[N] = {}, mean[N], scale[N] = {}, beta[N] = {};
    for (int v = 0; v < N; ++v) {
      mean[v] = load_as<V>(b.mean + j + v * kStep<V>);
      if (!recomputes(kMask)) continue;
      scale[v] = load_as<V>(b.scale + j + v * kStep<V>);
      beta[v] = load_as<V>(b.beta + j + v * kStep<V>);
    }
    for (int64_t i = 0; i < b.rows; ++i)
      for (int v = 0; v < N; ++v) {
        const int64_t at = i * b.width + j + v * kStep<V>;
        const V x = load_as<V>(b.x + at) - mean[v];
        const V d = let_pass<kMask, V>(b, at, x, scale[v], beta[v]);
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
    V mean[N], of_d[N], of_x[N], constant[N], scale[N] = {}, beta[N] = {};
    for (int v = 0; v < N; ++v) {
      const int64_t at = j + v * kStep<V>;
      mean[v] = load_as<V>(b.mean + at), of_d[v] = load_as<V>(b.of_d + at);
      of_x[v] = load_as<V>(b.of_x + at), constant[v] = load_as<V>(b.constant + at);
      if (!recomputes(kMask)) continue;
      scale[v] = load_as<V>(b.scale + at), beta[v] = load_as<V>(b.beta + at);
    }
    for (int64_t i = 0; i < b.rows; ++i)
      for (int v = 0; v < N; ++v) {
        const int64_t at = i * b.width + j + v * kStep<V>;
        V x = {};
        if (kX || recomputes(kMask)) x = load_as<V>(b.x + at) - mean[v];
        const V d = let_pass<kMask, V>(b, at, x, scale[v], beta[v]);
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

template <bool kResidual>
void normalize_with(const NormalizeBlock& b) {
  if (b.inv_step > 0) return over_columns(b.width, Normalize<kResidual, Output::codes>{b});
  if (b.relu) return over_columns(b.width, Normalize<kResidual, Output::relu>{b});
  over_columns(b.width, Normalize<kResidual, Output::plain>{b});
}

void normalize(const NormalizeBlock& b) {
  b.residual ? normalize_with<true>(b) : normalize_with<false>(b);
}

/// fn of the mask that the arguments tell.
template <class Fn>
APPRENTICE_INLINE void with_mask(const GradientBlock& b, Fn fn) {
  if (b.inv_step > 0 && b.residual) return fn.template operator()<Mask::codes_residual>();
  if (b.inv_step > 0) return fn.template operator()<Mask::codes>();
  if (b.y) return fn.template operator()<Mask::y>();
  if (b.beta) return fn.template operator()<Mask::x>();
  fn.template operator()<Mask::none>();
}

void gradient_sums(const GradientBlock& b, float* sum, float* products) {
  with_mask(b, [&]<Mask kMask>() { over_columns(b.width, GradientSums<kMask>{b, sum, products}); });
}

template <Mask kMask>
void gradients_masked(const GradientBlock& b) {
  if (b.grad_x && b.grad_residual) return over_columns(b.width, Gradients<kMask, true, true>{b});
  if (b.grad_x) return over_columns(b.width, Gradients<kMask, true, false>{b});
  if (b.grad_residual) over_columns(b.width, Gradients<kMask, false, true>{b});
}

void gradients(const GradientBlock& b) {
  with_mask(b, [&]<Mask kMask>() { gradients_masked<kMask>(b); });
}

}  // namespace

const BatchNormSimd batch_norm{column_sums, centered_sums, normalize, gradient_sums, gradients};

}  // namespace apprentice::kernels::APPRENTICE_ISA
