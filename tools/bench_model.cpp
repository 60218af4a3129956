#include <apprentice/tools/bench_model.h>

#include <cstdio>
#include <memory>
#include <span>

#include <omp.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/graph.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/base/stream.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/precision.h>
#include <apprentice/models/registry.h>
#include <apprentice/nn/optimizer.h>
#include <apprentice/packed/packed_network.h>
#include <apprentice/quant/pack.h>
#include <apprentice/quant/prepare.h>
#include <apprentice/tools/bench_layers.h>
#include <apprentice/tools/benchmark.h>
#include <apprentice/tools/model_options.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

constexpr int64_t kChannels = 3, kClasses = 10;

struct Options {
  CommonOptions common;
  DeviceOption device_option;
  Device device;  ///< the one that it names
  ModelArgument model;
  std::string teacher;
  std::string weights;  ///< quantizer of random weights; "": none
  std::string precision = "f32";
  int w_bits = 2, a_bits = 8;
  int64_t size = 0;  ///< pixels a side; 0: as the architecture says
  int64_t batch = 128;
  int64_t repetitions = 5;
  double seconds = 3;
  bool graph = false;               ///< time launches of recorded work
  bool layers = false, md = false;  ///< packed networks: times of the layers, as Markdown
};

void add_timing_options(CLI::App& app, Options& o) {
  app.add_option("--batch", o.batch, "Images a step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--size", o.size,
                 "Pixels a side of the images (default: those that the architecture is meant for)")
      ->check(CLI::PositiveNumber);
  app.add_option("-r,--repetitions", o.repetitions, "Least number of timed runs")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seconds", o.seconds, "Least time spent timing")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  o.device_option.add_to(app);
  o.common.add_to(app);
}

/// What the program is to run on; sets the process up.
void prepare(Options& o) {
  o.common.apply();
  o.device = o.device_option.get();
  check<UsageError>(!o.graph || !o.device.is_cpu(), "--graph needs a device other than the CPU");
}

/// Times of `before`, and of the work that `run` gives to the device's current stream, anew or as a
/// graph.
Timing time_work(
    const Options& o, const std::function<void()>& run,
    const std::function<void()>& before = [] {}) {
  const auto whole = [&] { before(), run(); };
  if (o.device.is_cpu()) return time_runs(whole, o.seconds, o.repetitions, false);
  if (!o.graph) return time_on_device(whole, o.device, o.seconds, o.repetitions);
  whole();  // what is chosen and taken once is no part of the graph
  const Graph graph(o.device, run);
  const auto launch = [&] { before(), graph.launch(current_stream(o.device)); };
  return time_on_device(launch, o.device, o.seconds, o.repetitions);
}

Tensor random_images(int64_t n, int64_t height, int64_t width) {
  Rng rng(0, RngPurpose::test);
  return Tensor::normal({n, height, width, kChannels}, 0, 1, rng);
}

/// Pixels a side of the images for this architecture.
int64_t side(const Options& o, const std::string& arch) {
  return o.size > 0 ? o.size : architecture(arch).side;
}

/// Quantizes all layers but the first and the last; says how.
quant::Policy quantize(const Options& o, nn::TensorModule& model) {
  const auto layers = quant::layers(model);
  quant::Policy policy;
  policy.layer = {o.weights, o.w_bits, false, "wrpn", o.a_bits};
  policy.keep = {layers.front().name, layers.back().name};
  quant::prepare(model, policy);
  const int64_t pixels = side(o, o.model.model);
  quant::calibrate(model, {random_images(1, pixels, pixels)});
  return policy;
}

/// A packed network of the initial weights: as fast as a trained one.
packed::PackedNetwork random_packed(const Options& o) {
  const std::string& arch = o.model.model;
  const auto model = make_model(arch);
  const quant::Policy policy = quantize(o, *model);
  const int64_t pixels = side(o, arch);
  const std::string bytes =
      quant::packed_bytes(*model, {arch, policy, {}}, {.height = pixels, .width = pixels});
  return packed::PackedNetwork::load(
      SafetensorsFile::parse(std::as_bytes(std::span(bytes)), arch + " packed"),
      {.device = o.device});
}

using Json = nlohmann::ordered_json;

Json json_of(const Options& o, const std::string& what, const Timing& t) {
  return {{"what", what},
          {"device", o.device.str()},
          {"graph", o.graph},
          {"precision", o.precision},
          {"threads", omp_get_max_threads()},
          {"batch", o.batch},
          {"median_ms", t.median * 1e3},
          {"min_ms", t.min * 1e3},
          {"max_ms", t.max * 1e3},
          {"runs", t.runs},
          {"images_per_s", double(o.batch) / t.median},
          {"peak_rss_bytes", peak_rss_bytes()}};
}

int report(const Options& o, const std::string& what, const Timing& t) {
  if (o.common.json) {
    std::printf("%s\n", json_of(o, what, t).dump().c_str());
    return 0;
  }
  const std::string where = o.device.is_cpu() ? fmt::format("threads {}", omp_get_max_threads())
                                              : o.device.str() + (o.graph ? " graph" : "");
  std::printf(
      "%s  batch %lld  %s  median %.3f ms  min %.3f ms  %.0f images/s  n=%lld  "
      "peak RSS %.0f MiB\n",
      what.c_str(), (long long)o.batch, where.c_str(), t.median * 1e3, t.min * 1e3,
      double(o.batch) / t.median, (long long)t.runs, double(peak_rss_bytes()) / (1 << 20));
  return 0;
}

Json json_of(const LayerTiming& layer) {
  return {
      {"name", layer.info.name},     {"kernel", layer.info.kernel},   {"y", layer.info.y},
      {"bytes", layer.memory.bytes}, {"offset", layer.memory.offset}, {"us_an_image", layer.us},
      {"share", layer.share},        {"gop_s", layer.gop_s},          {"macs", layer.info.macs}};
}

/// Inference of a packed file on images that lie on the device: what an embedding program does.
int run_packed(const Options& o, const std::string& what, packed::PackedNetwork network) {
  const packed::Description& d = network.description();
  const Tensor images = random_images(o.batch, d.height, d.width);
  Tensor logits = Tensor::empty({o.batch, network.classes()});
  const Tensor x = images.to(o.device);
  Tensor y = logits.to(o.device);
  const Timing t = time_work(o, [&] {
    network.enqueue(x.view<float, 4>(), y.view<float, 2>(), current_stream(o.device));
  });
  std::vector<LayerTiming> layers;
  if (o.layers)
    layers = time_layers(network, images.view<float, 4>(), logits.view<float, 2>(), o.seconds,
                         o.repetitions);
  if (o.common.json) {
    Json out = json_of(o, what, t);
    out["activation_bytes"] = network.activation_bytes(o.batch);
    out["weight_bytes"] = network.weight_bytes();
    for (const LayerTiming& layer : layers) out["layers"].push_back(json_of(layer));
    std::printf("%s\n", out.dump().c_str());
    return 0;
  }
  report(o, what, t);
  std::printf("activations %lld bytes%s, weights %lld bytes\n",
              (long long)network.activation_bytes(o.batch), o.device.is_cpu() ? " a thread" : "",
              (long long)network.weight_bytes());
  if (!o.layers) return 0;
  const Table table = layer_table(layers);
  std::printf("\n%s", (o.md ? table.markdown() : table.plain()).c_str());
  return 0;
}

Timing time_inference(const Options& o, nn::TensorModule& model, int64_t pixels) {
  model.eval();
  model.to(o.device);
  const NoGrad no_grad;
  const Tensor x = random_images(o.batch, pixels, pixels).to(o.device);
  return time_work(o, [&] { model.forward(x); });
}

int run_model(Options& o) {
  prepare(o);
  const std::string& name = o.model.model;
  const bool arch = models().has(name);
  check<UsageError>(arch || o.weights.empty(), "--weights quantizes an architecture, got {}", name);
  const std::string path = arch ? "" : o.model.path(o.common);
  const bool packed = arch ? !o.weights.empty() : quant::file_kind(path) == quant::FileKind::packed;
  check<UsageError>(packed || !o.layers, "--layers times packed networks, got {}", name);
  if (!o.weights.empty())
    return run_packed(o, fmt::format("{} packed {}A-{}W {}", name, o.a_bits, o.w_bits, o.weights),
                      random_packed(o));
  if (arch) return report(o, name + " f32", time_inference(o, *make_model(name), side(o, name)));
  if (packed) {
    return run_packed(o, name + " packed", packed::PackedNetwork::load(path, {.device = o.device}));
  }
  const quant::LoadedModel loaded = o.model.load(o.common);
  return report(o, name, time_inference(o, *loaded.model, side(o, loaded.info.arch)));
}

/// One SGD step: forward, loss, backward, update.
Timing time_step(const Options& o, nn::TensorModule& student, nn::TensorModule* teacher) {
  const int64_t pixels = side(o, o.model.model);
  const Tensor x = random_images(o.batch, pixels, pixels).to(o.device);
  std::vector<int64_t> labels(size_t(o.batch));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = int64_t(i) % kClasses;
  const Tensor y = Tensor::from(labels, {o.batch}).to(o.device);
  nn::Sgd sgd({{student.named_parameters(), 1, 1e-4}}, {.momentum = 0.9});
  const Precision precision = parse_precision(o.precision);
  const auto step = [&] {
    const PrecisionGuard guard(precision);
    const Tensor logits = student.forward(x);
    Tensor loss = cross_entropy(logits, y);
    if (teacher) {
      Tensor target;
      {
        const NoGrad no_grad;
        target = teacher->forward(x);
      }
      constexpr float kTemperature = 4;
      loss = loss * 0.5 +
             kl_divergence(logits, target, kTemperature) * (0.5 * kTemperature * kTemperature);
    }
    loss.backward();
    quant::apply_step(sgd, student);
    sgd.zero_grad();
  };
  return time_work(o, step, [&] { sgd.prepare_step(1e-3); });
}

int run_step(Options& o) {
  prepare(o);
  const auto student = make_model(o.model.model);
  if (!o.weights.empty()) quantize(o, *student);
  student->train();
  student->to(o.device);
  student->set_requires_grad(true);
  std::shared_ptr<nn::TensorModule> teacher;
  if (!o.teacher.empty()) {
    teacher = make_model(o.teacher);
    teacher->eval();
    teacher->to(o.device);
  }
  const std::string bits =
      o.weights.empty() ? "" : fmt::format(" {}A-{}W {}", o.a_bits, o.w_bits, o.weights);
  const std::string what = o.model.model + bits + (teacher ? " under " + o.teacher : "") + " step";
  return report(o, what, time_step(o, *student, teacher.get()));
}

}  // namespace

void add_quantizer_options(CLI::App& app, Options& o, const std::string& what) {
  app.add_option("--weights", o.weights, what + ": " + join(quant::quantizers().names(), ", "));
  app.add_option("--w-bits", o.w_bits, "Their bits")->capture_default_str();
  app.add_option("--a-bits", o.a_bits, "Bits of the activations")->capture_default_str();
}

std::function<int()> add_bench_model(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model.add_to(app);
  add_quantizer_options(app, *o, "Pack an architecture's initial weights with this quantizer");
  auto* layers = app.add_flag("--layers", o->layers, "Time each layer of a packed network, too");
  app.add_flag("--md", o->md, "Print the layers as Markdown")->needs(layers);
  app.add_flag("--graph", o->graph,
               "Record a forward on a device as a graph, and time the graph's launches");
  add_timing_options(app, *o);
  return [o] { return run_model(*o); };
}

std::function<int()> add_bench_step(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("arch", o->model.model, "Architecture to train")->required();
  app.add_option("--teacher", o->teacher, "Architecture of a frozen teacher");
  add_quantizer_options(app, *o, "Train quantized weights");
  app.add_option("--precision", o->precision,
                 "What factors of products may be rounded to on a device: f32, tf32, bf16")
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}))
      ->capture_default_str();
  app.add_flag("--graph", o->graph,
               "Record a step on a device as a graph, and time the graph's launches");
  add_timing_options(app, *o);
  return [o] { return run_step(*o); };
}

}  // namespace apprentice::tools
