#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tiny_network.h"

namespace apprentice::test {

using packed::Layer;

/// One image's activation: codes or values, [h, w, c].
struct Map {
  int64_t h = 1, w = 1, c = 0;
  std::vector<float> data;
  float at(int64_t i, int64_t j, int64_t k) const { return data[size_t((i * w + j) * c + k)]; }
  bool holds(int64_t i, int64_t j) const { return i >= 0 && i < h && j >= 0 && j < w; }
};

/// Everything about one layer of one image, computed by plain loops from the formulas of
/// docs/numerics.md.
struct Computed {
  std::vector<int32_t> acc, negative;
  std::vector<float> sums;
  Map y;
};

class PlainNetwork {
 public:
  explicit PlainNetwork(const TinyNetwork& net) : net_(net) {}

  std::map<std::string, Computed> run(const Map& image) const {
    std::map<std::string, Computed> all;
    std::map<int64_t, Map> activations = {{0, image}};
    for (const Layer& l : net_.description.layers) {
      const Map& x = activations.at(l.x);
      Computed c = l.op == "global_avg_pool" ? pool(l, x)
                   : l.op == "linear"        ? linear(l, x)
                   : l.op == "max_pool"      ? max_pool(l, x)
                                             : conv(l, x, activations);
      activations[l.y] = c.y;
      all[l.name] = c;
    }
    return all;
  }

 private:
  const std::vector<float>& floats(const Layer& l, const std::string& suffix) const {
    return net_.floats.at(l.name + "." + suffix);
  }

  static float shortcut(const Layer& l, const Map& r, const Map& y, int64_t p, int64_t q,
                        int64_t o) {
    const int64_t step = r.h == y.h ? 1 : 2, k = o - (l.out - r.c) / 2;
    return k < 0 || k >= r.c ? 0 : r.at(p * step, q * step, k);
  }

  static Map empty_map(const Layer& l, const Map& x, int64_t channels) {
    Map y;
    y.h = (x.h + 2 * l.padding[0] - l.kernel[0]) / l.stride[0] + 1;
    y.w = (x.w + 2 * l.padding[1] - l.kernel[1]) / l.stride[1] + 1;
    y.c = channels;
    return y;
  }

  /// fn(row, col, tap) for the taps of a window that lie inside x.
  template <class Fn>
  static void for_taps(const Layer& l, const Map& x, int64_t p, int64_t q, Fn fn) {
    for (int64_t r = 0; r < l.kernel[0]; ++r) {
      for (int64_t s = 0; s < l.kernel[1]; ++s) {
        const int64_t row = p * l.stride[0] + r - l.padding[0];
        const int64_t col = q * l.stride[1] + s - l.padding[1];
        if (x.holds(row, col)) fn(row, col, r * l.kernel[1] + s);
      }
    }
  }

  Computed max_pool(const Layer& l, const Map& x) const {
    Computed result;
    Map& y = result.y;
    y = empty_map(l, x, x.c);
    for (int64_t p = 0; p < y.h; ++p) {
      for (int64_t q = 0; q < y.w; ++q) {
        for (int64_t c = 0; c < y.c; ++c) {
          float top = 0;
          for_taps(l, x, p, q, [&](int64_t row, int64_t col, int64_t) {
            top = std::max(top, x.at(row, col, c));
          });
          y.data.push_back(top);
        }
      }
    }
    return result;
  }

  Computed conv(const Layer& l, const Map& x, const std::map<int64_t, Map>& activations) const {
    Computed result;
    Map& y = result.y;
    y = empty_map(l, x, l.out);
    for (int64_t p = 0; p < y.h; ++p) {
      for (int64_t q = 0; q < y.w; ++q) {
        for (int64_t o = 0; o < l.out; ++o) {
          float t = l.op == "stem" ? stem_pixel(l, x, p, q, o, result)
                                   : code_pixel(l, x, p, q, o, result);
          if (l.residual >= 0) {
            t = std::fmaf(shortcut(l, activations.at(l.residual), y, p, q, o), l.r, t);
          }
          y.data.push_back(std::min(std::max(std::nearbyint(t), 0.0f), float(l.max_code)));
        }
      }
    }
    return result;
  }

  float stem_pixel(const Layer& l, const Map& x, int64_t p, int64_t q, int64_t o,
                   Computed& result) const {
    float sum = 0;
    const auto& w = floats(l, "weight");
    const int64_t taps = l.kernel[0] * l.kernel[1];
    for_taps(l, x, p, q, [&](int64_t row, int64_t col, int64_t tap) {
      for (int64_t i = 0; i < l.in; ++i) {
        sum = std::fmaf(x.at(row, col, i), w[size_t((o * taps + tap) * l.in + i)], sum);
      }
    });
    result.sums.push_back(sum);
    return std::fmaf(sum, floats(l, "a")[size_t(o)], floats(l, "b")[size_t(o)]);
  }

  float code_pixel(const Layer& l, const Map& x, int64_t p, int64_t q, int64_t o,
                   Computed& result) const {
    const auto& t = net_.codes.at(l.name);
    const int64_t taps = l.kernel[0] * l.kernel[1];
    int32_t plus = 0, minus = 0, all = 0;
    for_taps(l, x, p, q, [&](int64_t row, int64_t col, int64_t tap) {
      for (int64_t i = 0; i < l.in; ++i) {
        const int code = t[size_t((o * taps + tap) * l.in + i)];
        const auto v = int32_t(x.at(row, col, i));
        all += v * code;
        plus += code > 0 ? v : 0;
        minus += code < 0 ? v : 0;
      }
    });
    const float a = floats(l, "a")[size_t(o)], b = floats(l, "b")[size_t(o)];
    result.acc.push_back(l.weights == "ttq" ? plus : all);
    if (l.weights != "ttq") return std::fmaf(float(all), a, b);
    result.negative.push_back(minus);
    return std::fmaf(float(plus), a, std::fmaf(-float(minus), floats(l, "a_neg")[size_t(o)], b));
  }

  Computed pool(const Layer& l, const Map& x) const {
    Computed result;
    result.y.c = x.c;
    const float factor = l.step / float(x.h * x.w);
    for (int64_t k = 0; k < x.c; ++k) {
      int32_t sum = 0;
      for (int64_t i = 0; i < x.h; ++i)
        for (int64_t j = 0; j < x.w; ++j) sum += int32_t(x.at(i, j, k));
      result.y.data.push_back(float(sum) * factor);
    }
    return result;
  }

  Computed linear(const Layer& l, const Map& x) const {
    Computed result;
    result.y.c = l.out;
    for (int64_t j = 0; j < l.out; ++j) {
      float sum = floats(l, "bias")[size_t(j)];
      for (int64_t k = 0; k < l.in; ++k) {
        sum = std::fmaf(x.data[size_t(k)], floats(l, "weight")[size_t(j * l.in + k)], sum);
      }
      result.y.data.push_back(sum);
    }
    return result;
  }

  const TinyNetwork& net_;
};

}  // namespace apprentice::test
