#include <omp.h>

#include <cmath>

#include <catch2/catch.hpp>

#include <apprentice/packed/packed_network.h>

#include "support/throws.h"
#include "tiny_network.h"

namespace apprentice {
namespace {

using packed::Layer;
using packed::PackedNetwork;
using test::throws;
using test::TinyNetwork;

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

  Computed conv(const Layer& l, const Map& x, const std::map<int64_t, Map>& activations) const {
    Computed result;
    Map& y = result.y;
    y.h = (x.h + 2 - 3) / l.stride[0] + 1, y.w = (x.w + 2 - 3) / l.stride[1] + 1, y.c = l.out;
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
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t s = 0; s < 3; ++s) {
        if (!x.holds(p + r - 1, q + s - 1)) continue;
        for (int64_t i = 0; i < l.in; ++i) {
          sum = std::fmaf(x.at(p + r - 1, q + s - 1, i),
                          w[size_t(((o * 3 + r) * 3 + s) * l.in + i)], sum);
        }
      }
    }
    result.sums.push_back(sum);
    return std::fmaf(sum, floats(l, "a")[size_t(o)], floats(l, "b")[size_t(o)]);
  }

  float code_pixel(const Layer& l, const Map& x, int64_t p, int64_t q, int64_t o,
                   Computed& result) const {
    const auto& t = net_.codes.at(l.name);
    int32_t plus = 0, minus = 0, all = 0;
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t s = 0; s < 3; ++s) {
        const int64_t row = p * l.stride[0] + r - 1, col = q * l.stride[1] + s - 1;
        if (!x.holds(row, col)) continue;
        for (int64_t i = 0; i < l.in; ++i) {
          const int code = t[size_t(((o * 3 + r) * 3 + s) * l.in + i)];
          const auto v = int32_t(x.at(row, col, i));
          all += v * code;
          plus += code > 0 ? v : 0;
          minus += code < 0 ? v : 0;
        }
      }
    }
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

/// Logits and all traces, images joined: by layer, "acc", "negative", "sums", "codes", "values".
struct Run {
  std::vector<float> logits;
  std::map<std::string, std::map<std::string, std::vector<double>>> trace;
  friend bool operator==(const Run&, const Run&) = default;
};

template <class V>
void append(std::vector<double>& to, const V& view) {
  if (view) to.insert(to.end(), view.data, view.data + view.numel());
}

Run run(PackedNetwork& network, const std::vector<float>& x, bool traced) {
  const int64_t n = int64_t(x.size()) / (9 * 8 * 3);
  Run result;
  result.logits.assign(size_t(n * 4), -1.0f);
  packed::Trace trace;
  if (traced) {
    trace = [&](const packed::LayerTrace& t) {
      auto& layer = result.trace[t.layer->name];
      append(layer["acc"], t.acc);
      append(layer["negative"], t.acc_negative);
      append(layer["sums"], t.sums);
      append(layer["codes"], t.codes);
      append(layer["values"], t.values);
    };
  }
  network.forward({x.data(), {n, 9, 8, 3}}, {result.logits.data(), {n, 4}}, trace);
  return result;
}

/// What the plain loops make of the same images, in the same form.
Run plain_run(const TinyNetwork& net, const std::vector<float>& x) {
  Run result;
  const PlainNetwork plain(net);
  for (size_t i = 0; i < x.size() / (9 * 8 * 3); ++i) {
    Map image{9, 8, 3, {x.begin() + long(i * 216), x.begin() + long((i + 1) * 216)}};
    for (const auto& [name, computed] : plain.run(image)) {
      auto& layer = result.trace[name];
      const bool map = name != "pool" && name != "linear";
      const auto add = [](std::vector<double>& to, const auto& from) {
        to.insert(to.end(), from.begin(), from.end());
      };
      add(layer["acc"], computed.acc);
      add(layer["negative"], computed.negative);
      add(layer["sums"], computed.sums);
      add(layer["codes"], map ? computed.y.data : std::vector<float>());
      add(layer["values"], map ? std::vector<float>() : computed.y.data);
      if (name == "linear") {
        result.logits.insert(result.logits.end(), computed.y.data.begin(), computed.y.data.end());
      }
    }
  }
  return result;
}

PackedNetwork load(const SafetensorsFile& file, const std::string& family = "") {
  PackedNetwork::Options options;
  options.kernels.family = family;
  return PackedNetwork::load(file, options);
}

/// Loading the changed file throws E with these parts.
template <class E, class Change, class... Parts>
std::string refuses(Change change, const Parts&... parts) {
  TinyNetwork net;
  change(net);
  const SafetensorsFile file = net.file();
  return throws<E>([&] { load(file); }, std::string("tiny.safetensors"), std::string(parts)...);
}

}  // namespace

TEST_CASE("a packed network computes, layer by layer, what plain loops compute", "[packed]") {
  TinyNetwork net;
  const auto x = net.images(19);
  const Run expected = plain_run(net, x);
  const SafetensorsFile file = net.file();
  for (const std::string family : {"", "reference", "avx2", "vnni"}) {
    PackedNetwork network = load(file, family);
    const Run got = run(network, x, true);
    INFO("family '" << family << "'");
    CHECK(bool(got.logits == expected.logits));
    for (const auto& [layer, parts] : expected.trace) {
      for (const auto& [part, values] : parts) {
        INFO(layer << " " << part);
        CHECK(bool(got.trace.at(layer).at(part) == values));
      }
    }
    CHECK(bool(run(network, x, false).logits == expected.logits));
  }
}

TEST_CASE("the codes of the test network are neither all clamped nor all alike", "[packed]") {
  TinyNetwork net;
  const Run expected = plain_run(net, net.images(4));
  for (const std::string layer : {"conv1", "a", "b", "c"}) {
    const auto& codes = expected.trace.at(layer).at("codes");
    const auto zeros = std::count(codes.begin(), codes.end(), 0.0);
    const auto top =
        std::count(codes.begin(), codes.end(), *std::max_element(codes.begin(), codes.end()));
    INFO(layer << ": " << codes.size() << " codes, " << zeros << " zero, " << top << " largest");
    CHECK(size_t(zeros + top) < codes.size() / 2);
    CHECK(zeros > 0);
  }
}

TEST_CASE("logits do not depend on batch size or number of threads", "[packed]") {
  TinyNetwork net;
  const auto x = net.images(13);
  PackedNetwork network = load(net.file());
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto expected = run(network, x, false).logits;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    CHECK(bool(run(network, x, false).logits == expected));
    std::vector<float> one_by_one;
    for (size_t i = 0; i < 13; ++i) {
      const std::vector<float> image(x.begin() + long(i * 216), x.begin() + long((i + 1) * 216));
      const auto logits = run(network, image, false).logits;
      one_by_one.insert(one_by_one.end(), logits.begin(), logits.end());
    }
    CHECK(bool(one_by_one == expected));
  }
  omp_set_num_threads(before);
  CHECK(run(network, {}, false).logits.empty());
}

TEST_CASE("an exception of a trace reaches the caller", "[packed]") {
  TinyNetwork net;
  const auto x = net.images(3);
  PackedNetwork network = load(net.file());
  std::vector<float> logits(12);
  const packed::Trace trace = [](const packed::LayerTrace& t) {
    if (t.layer->name == "b") throw CheckFailed("seen b");
  };
  CHECK(throws<CheckFailed>(
            [&] {
              network.forward({x.data(), {3, 9, 8, 3}}, {logits.data(), {3, 4}}, trace);
            },
            "seen b") == "");
}

TEST_CASE("layers tell what they are, what they take and which kernel runs them", "[packed]") {
  TinyNetwork net;
  PackedNetwork network = load(net.file(), "reference");
  REQUIRE(network.layers().size() == 6);
  const auto& a = network.layers()[1];
  CHECK(a.name == "a");
  CHECK(a.stored == "ternary");
  CHECK(a.weights == 5 * 45);
  CHECK(a.bytes == 5 * 12 + 4 + 5 * 4 * 2);
  CHECK(a.macs == 5 * 45 * 72);
  CHECK(a.kernel == "ternary_conv2d_u8w2_cpu_reference");
  CHECK(network.layers()[2].kernel == "int4_conv2d_u8w4_cpu_reference");
  CHECK(network.layers()[0].kernel == "ordered_conv2d_f32_cpu_reference");
  CHECK(network.classes() == 4);
  CHECK(network.metadata().at("arch") == "tiny");
  int64_t file_bytes = 0;
  for (const auto& info : network.layers()) file_bytes += info.bytes;
  int64_t tensor_bytes = 0;
  const SafetensorsFile file = net.file();
  for (const auto& t : file.tensors()) tensor_bytes += int64_t(t.data.size());
  CHECK(file_bytes == tensor_bytes);
}

TEST_CASE("inputs of another size are refused", "[packed]") {
  TinyNetwork net;
  PackedNetwork network = load(net.file());
  std::vector<float> x(9 * 9 * 3), logits(5);
  CHECK(throws<ShapeError>(
            [&] {
              network.forward({x.data(), {1, 9, 9, 3}}, {logits.data(), {1, 4}});
            },
            "[1, 9, 9, 3]", "[n, 9, 8, 3]") == "");
  CHECK(throws<ShapeError>(
            [&] {
              network.forward({x.data(), {1, 9, 8, 3}}, {logits.data(), {1, 5}});
            },
            "[1, 5]", "[1, 4]") == "");
}

TEST_CASE("a packed file with damaged tensors is refused, naming layer and tensor", "[packed]") {
  using Net = TinyNetwork;
  CHECK(refuses<DamagedFile>([](Net& n) { n.packed_codes["a.weight_packed"][13] = 0x02; },
                             "a.weight_packed", "code -2", "row 1, column 4") == "");
  CHECK(refuses<DamagedFile>([](Net& n) { n.packed_codes["a.weight_packed"][11] |= 0x80; },
                             "a.weight_packed", "row 0", "bits set behind") == "");
  CHECK(refuses<DamagedFile>([](Net& n) { n.packed_codes.erase("b.weight_packed"); },
                             "b.weight_packed") == "");
  CHECK(refuses<DamagedFile>([](Net& n) { n.floats.erase("c.a_neg"); }, "c.a_neg") == "");
  CHECK(refuses<DamagedFile>([](Net& n) { n.floats["a.b"][2] = NAN; }, "'a.b'", "element 2",
                             "not finite") == "");
  CHECK(refuses<DamagedFile>([](Net& n) { n.floats["a.weight_scale"][0] = -1; }, "'a'",
                             "weight_scale is -1") == "");
  CHECK(refuses<DamagedFile>(
            [](Net& n) {
              n.shapes["linear.weight"] = {9, 4};
            },
            "linear.weight", "[9, 4]", "[4, 9]") == "");
  CHECK(refuses<DamagedFile>(
            [](Net& n) {
              n.floats["extra"] = {1};
              n.shapes["extra"] = {1};
            },
            "'extra' belongs to no layer") == "");
}

TEST_CASE("a description that does not fit together is refused, naming layer and field",
          "[packed]") {
  using Net = TinyNetwork;
  const auto layer = [](Net& n, size_t i) -> Layer& { return n.description.layers[i]; };
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 1).in = 6; }, "'a'", "in is 6") == "");
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 2).x = 9; }, "'b'", "activation 9",
                             "not computed") == "");
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 2).y = 2; }, "'b'", "computed twice") == "");
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 1).x = 0; }, "'a'", "holds image",
                             "expected codes") == "");
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 1).max_code = 256; }, "'a'", "max_code is 256",
                             "1 to 255") == "");
  CHECK(refuses<DamagedFile>(
            [&](Net& n) {
              layer(n, 1).kernel = {0, 3};
            },
            "'a'", "kernel is 0") == "");
  CHECK(refuses<DamagedFile>(
            [&](Net& n) {
              layer(n, 3).stride = {3, 3};
            },
            "'c'", "residual 3", "does not fit") == "");
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 1).weights = "int3"; }, "'a'", "int3",
                             "ternary, ttq or int4") == "");
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 1).op = "pool"; }, "'a'", "op is 'pool'") ==
        "");
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 1).name = "b"; }, "two layers", "'b'") == "");
  CHECK(refuses<DamagedFile>([&](Net& n) { n.description.layers.pop_back(); }, "last layer") == "");
  CHECK(refuses<DamagedFile>(
            [&](Net& n) {
              layer(n, 1).padding = {0, 0};
              n.description.height = 2;
            },
            "'a'", "3x3 window does not fit 2x8") == "");
}

TEST_CASE("other files are refused for what they are", "[packed]") {
  using Net = TinyNetwork;
  CHECK(refuses<DamagedFile>([](Net& n) { n.metadata["format"] = "pt"; }, "no packed model",
                             "'pt'") == "");
  CHECK(refuses<DamagedFile>([](Net& n) { n.metadata["apprentice.schema"] = "2"; }, "schema", "'2'",
                             "'1'") == "");
  CHECK(refuses<DamagedFile>([](Net& n) { n.metadata["apprentice.network"] = "{"; },
                             "apprentice.network") == "");
  CHECK(refuses<ConfigError>(
            [](Net& n) { n.metadata["apprentice.network"] = R"({"weights_only":true})"; },
            "only the weights are packed") == "");
  CHECK(throws<MissingInput>([] { PackedNetwork::load("/nonexistent/x.safetensors"); },
                             "/nonexistent/x.safetensors") == "");
}

TEST_CASE("a required kernel family must be there", "[packed]") {
  TinyNetwork net;
  PackedNetwork::Options options;
  options.kernels = {"reference", true};
  CHECK(PackedNetwork::load(net.file(), options).layers()[1].family == "reference");
  options.kernels = {"abacus", true};
  CHECK(throws<DeviceError>([&] { PackedNetwork::load(net.file(), options); }, "'abacus'") == "");
  options.kernels.require = false;
  CHECK_NOTHROW(PackedNetwork::load(net.file(), options));
}

}  // namespace apprentice
