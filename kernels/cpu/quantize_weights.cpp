#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/quantize_weights_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>

namespace apprentice::kernels {
namespace {

using Weight = QuantizeWeights::Weight;
using Rule = QuantizeWeights::Rule;

/// Elements that are worked on in several passes while they are in the cache.
constexpr int64_t kBlock = 2048;
/// Adding and subtracting it rounds |t| <= 2^22 to an integer, half to even.
constexpr float kRounder = 0x1.8p23f;

float threshold_of(const Weight& a, const float* w) {
  const int64_t k = a.w.size(1);
  double sum = 0;
  float top = 0;
  if (a.rule == Rule::mean) {
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < k; ++j) sum += double(std::abs(w[j]));
    return float(a.factor * double(float(sum / double(k))));
  }
#pragma omp simd reduction(max : top)
  for (int64_t j = 0; j < k; ++j) top = std::abs(w[j]) > top ? std::abs(w[j]) : top;
  return float(a.factor * double(top));
}

struct Counts {
  int64_t zeros = 0, flips = 0;
};

void count_zeros(const float* codes, int64_t n, int64_t& zeros) {
  int32_t found = 0;
#pragma omp simd reduction(+ : found)
  for (int64_t j = 0; j < n; ++j) found += codes[j] == 0;
  zeros += found;
}

void count_flips(const float* before, const float* codes, int64_t n, int64_t& flips) {
  int32_t found = 0;
#pragma omp simd reduction(+ : found)
  for (int64_t j = 0; j < n; ++j)
    found += int(((codes[j] > 0) != (before[j] > 0)) | ((codes[j] < 0) != (before[j] < 0)));
  flips += found;
}

/// Codes of a row by code_of(w), and what is asked for of their counts.
template <class CodeOf>
void code_row(const Weight& a, const float* w, float* codes, Counts& counts,
              const CodeOf& code_of) {
  std::array<float, kBlock> fresh;
  for (int64_t from = 0, k = a.w.size(1); from < k; from += kBlock) {
    const int64_t n = std::min(kBlock, k - from);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) fresh[size_t(j)] = code_of(w[from + j]);
    if (a.flips) count_flips(codes + from, fresh.data(), n, counts.flips);
    if (a.zeros || a.rule != Rule::uniform) count_zeros(fresh.data(), n, counts.zeros);
    std::copy_n(fresh.data(), n, codes + from);
  }
}

double ternary_scale(const Weight& a, const float* w, float* codes, Counts& counts) {
  const float t = threshold_of(a, w);
  code_row(a, w, codes, counts, [t](float v) { return float(int(v > t) - int(v < -t)); });
  const int64_t k = a.w.size(1), rest = k - counts.zeros;
  if (!a.scale || rest == 0) return 1;
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < k; ++j) sum += double(codes[j] == 0 ? 0.0f : std::abs(w[j]));
  return sum / double(rest);
}

double uniform_scale(const Weight& a, const float* w, float* codes, Counts& counts) {
  const auto limit = float(a.factor);
  code_row(a, w, codes, counts, [limit](float v) {
    const float t = v * limit, floored = t > -limit ? t : -limit;
    return ((floored < limit ? floored : limit) + kRounder) - kRounder;
  });
  return 1 / a.factor;
}

void quantize_row(const Weight& a, int64_t row) {
  const int64_t begin = row * a.w.size(1);
  const float* w = a.w.data + begin;
  float* codes = a.codes.data + begin;
  Counts counts;
  const double scale = a.rule == Rule::uniform ? uniform_scale(a, w, codes, counts)
                                               : ternary_scale(a, w, codes, counts);
  if (a.scale) a.scale(row) = float(scale);
  if (a.zeros) {
#pragma omp atomic
    a.zeros.data[0] += counts.zeros;
  }
  if (a.flips) {
#pragma omp atomic
    a.flips.data[0] += counts.flips;
#pragma omp atomic
    a.flips.data[1] += a.w.size(1);
  }
}

}  // namespace

void quantize_weights_on_cpu(const QuantizeWeights::Args& args) {
  std::vector<std::pair<const Weight*, int64_t>> rows;
  int64_t elements = 0;
  for (const Weight& a : args.weights) {
    for (int64_t row = 0; row < a.w.size(0); ++row) rows.emplace_back(&a, row);
    elements += a.w.numel();
  }
  const auto count = int64_t(rows.size());
#pragma omp parallel for schedule(dynamic, 4) if (elements >= kParallelElements)
  for (int64_t i = 0; i < count; ++i) quantize_row(*rows[size_t(i)].first, rows[size_t(i)].second);
}

std::string refuse_quantize_weights(const QuantizeWeights::Args& args) {
  for (const Weight& a : args.weights)
    if (a.rule == Rule::uniform && !(a.factor <= 0x1p22))
      return fmt::format("codes up to {} exceed 2^22", a.factor);
  return "";
}

}  // namespace apprentice::kernels

APPRENTICE_UNIT(quantize_weights) {
  using namespace apprentice::kernels;
  add_portable<QuantizeWeights>(quantize_weights_on_cpu, refuse_quantize_weights);
}
