#include <omp.h>

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include <apprentice/packed/packed_network.h>

#include "network_run.h"
#include "plain_network.h"
#include "support/throws.h"
#include "tiny_network.h"

namespace apprentice {
namespace {

using packed::Layer;
using packed::PackedNetwork;
using test::Map;
using test::PlainNetwork;
using test::run;
using test::Run;
using test::throws;
using test::TinyNetwork;
using Kind = TinyNetwork::Kind;

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
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
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
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
  const Run expected = plain_run(net, net.images(4));
  for (const std::string layer : {"conv1", "a", "b", "c", "shortcut"}) {
    if (!expected.trace.count(layer)) continue;
    const auto& codes = expected.trace.at(layer).at("codes");
    const auto zeros = std::count(codes.begin(), codes.end(), 0.0);
    const auto top =
        std::count(codes.begin(), codes.end(), *std::max_element(codes.begin(), codes.end()));
    INFO(layer << ": " << codes.size() << " codes, " << zeros << " zero, " << top << " largest");
    CHECK(size_t(zeros + top) < codes.size() / 2);
    CHECK(bool(zeros > 0 || layer == "shortcut"));
  }
}

TEST_CASE("logits do not depend on batch size or number of threads", "[packed]") {
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
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

TEST_CASE("every family gives the reference's logits, for every small batch and number of threads",
          "[packed]") {
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
  const SafetensorsFile file = net.file();
  for (const int64_t n : {1, 2, 3, 4, 5}) {
    const auto x = net.images(n);
    PackedNetwork reference = load(file, "reference");
    const auto expected = run(reference, x, false);
    for (const std::string family : {"", "avx2", "vnni", "simd"}) {
      for (const int threads : {1, 2, 3}) {  // fewer images than threads share each layer
        PackedNetwork::Options options;
        options.kernels.family = family;
        options.threads = threads;
        PackedNetwork network = PackedNetwork::load(file, options);
        INFO("family '" << family << "', " << n << " images, " << threads << " threads");
        CHECK(bool(run(network, x, false).logits == expected.logits));
      }
    }
  }
}

TEST_CASE("images too large to go through all layers side by side keep their own logits",
          "[packed]") {
  TinyNetwork net(Kind::projection);
  const int64_t side = 200, n = 7, size = side * side * 3;
  net.description.height = net.description.width = side;
  PackedNetwork network = load(net.file());
  // Early layers take one image at a time, so their maps are there once.
  CHECK(network.activation_bytes(n) < n * network.activation_bytes(1));
  Rng rng(11, RngPurpose::test);
  std::vector<float> x(size_t(n * size)), logits(size_t(n * 4)), one_by_one(size_t(n * 4));
  for (float& v : x) v = rng.normal();
  for (int64_t i = 0; i < n; ++i) {
    network.forward({x.data() + i * size, {1, side, side, 3}},
                    {&one_by_one[size_t(4 * i)], {1, 4}});
  }
  network.forward({x.data(), {n, side, side, 3}}, {logits.data(), {n, 4}});
  CHECK(bool(logits == one_by_one));
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

TEST_CASE("a convolution knows the largest code of the layer, or of the pooling, that it reads",
          "[packed]") {
  const auto reasons = [](Kind kind, size_t layer) {
    TinyNetwork net(kind);
    const PackedNetwork network = load(net.file());
    std::string all;
    for (const auto& refusal : network.layers()[layer].refusals) all += refusal.reason;
    return all;
  };
  using Catch::Contains;
  CHECK_THAT(reasons(Kind::option_a, 1), !Contains("max_x") || Contains("max_x is 255"));
  CHECK_THAT(reasons(Kind::wide, 1), !Contains("max_x"));
  CHECK_THAT(reasons(Kind::wide, 3), !Contains("max_x") || Contains("max_x is 127"));
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
  CHECK(refuses<DamagedFile>([&](Net& n) { layer(n, 1).zero_point = 128; }, "'a'",
                             "zero_point is 128", "max_code 47") == "");
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

TEST_CASE("a max_pool or a projection that does not fit is refused, naming layer and field",
          "[packed]") {
  const auto refuses = [](auto change, const auto&... parts) {
    TinyNetwork net(Kind::projection);
    change([&](size_t i) -> Layer& { return net.description.layers[i]; });
    const SafetensorsFile file = net.file();
    return throws<DamagedFile>([&] { load(file); }, std::string("tiny.safetensors"),
                               std::string(parts)...);
  };
  using Kernel = std::array<int64_t, 2>;
  CHECK(refuses(
            [](auto layer) {
              layer(1).padding = Kernel{1, 3};
            },
            "'maxpool'", "padding is [1, 3]", "kernel [3, 3]") == "");
  CHECK(refuses(
            [](auto layer) {
              layer(1).kernel = Kernel{12, 3};
            },
            "'maxpool'", "12x3 window", "9x8 pixels") == "");
  CHECK(refuses([](auto layer) { layer(1).x = 0; }, "'maxpool'", "holds image", "expected codes") ==
        "");
  // Signed codes: only a shortcut of the output's own size and channels may read them.
  CHECK(refuses([](auto layer) { layer(6).x = 5; }, "'pool'", "activation 5 holds signed codes",
                "expected codes") == "");
  CHECK(refuses([](auto layer) { layer(4).zero_point = 5; }, "'shortcut'", "zero_point is 5",
                "128") == "");
  CHECK(refuses(
            [](auto layer) {
              layer(4).stride = Kernel{1, 1};
            },
            "'c'", "residual 5 is [5, 4, 20]", "with a zero point", "[3, 2, 20]") == "");
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
