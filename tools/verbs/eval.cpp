#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/base/stream.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/state.h>
#include <apprentice/distill/metrics.h>
#include <apprentice/packed/packed_network.h>
#include <apprentice/tools/data_options.h>
#include <apprentice/tools/model_options.h>
#include <apprentice/tools/progress.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

struct Options {
  CommonOptions common;
  DeviceOption device;
  ModelArgument model;
  DataOptions data;
  std::string save_logits;
  int64_t batch = 250;
};

/// A model of either kind, as something that maps images to logits.
struct Runnable {
  std::function<Tensor(const Tensor&)> forward;
  std::string arch, kind, policy;
};

Runnable runnable_packed(const std::string& path, Device device) {
  auto network = std::make_shared<packed::PackedNetwork>(
      packed::PackedNetwork::load(path, {.device = device}));
  const auto& metadata = network->metadata();
  const auto find = [&metadata](const char* key) {
    const auto it = metadata.find(key);
    return it == metadata.end() ? std::string() : it->second;
  };
  const auto forward = [network](const Tensor& x) {
    Tensor logits = x.new_empty({x.size(0), network->classes()});
    network->enqueue(x.view<float, 4>(), logits.view<float, 2>(), current_stream(x.device()));
    return logits;
  };
  const std::string policy = find("apprentice.quant");
  return {forward, find("arch"), "packed",
          policy.empty() ? "" : quant::summary(quant::policy_from_json(policy))};
}

Runnable runnable_model(const Options& o, Device device) {
  const quant::LoadedModel loaded = o.model.load(o.common);
  loaded.model->to(device);
  loaded.model->eval();
  return {[model = loaded.model](const Tensor& x) { return model->forward(x); }, loaded.info.arch,
          loaded.kind == quant::FileKind::packed_weights ? "packed weights" : "model",
          quant::summary(loaded.info.policy)};
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

distill::Metrics evaluate(const Options& o, const Runnable& model, const data::ImageSet& set,
                          Device device) {
  ProgressPrinter printer;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Tensor> logits;
  distill::EvaluateOptions options;
  options.batch = o.batch;
  options.device = device;
  options.on_batch = [&](const data::Batch&, const Tensor& batch_logits, int64_t done) {
    if (!o.save_logits.empty()) logits.push_back(batch_logits.clone());
    const double rate = double(done) / seconds_since(begin);
    printer.update({"eval images", done, set.count, rate, double(set.count - done) / rate, ""});
    return true;
  };
  const distill::Metrics metrics = distill::evaluate(model.forward, set, options);
  printer.finish();
  if (o.save_logits.empty()) return metrics;

  const int64_t classes = logits.empty() ? 0 : logits.front().size(1);
  Tensor all = Tensor::empty({set.count, classes});
  int64_t row = 0;
  for (const Tensor& part : logits) {
    all.slice(row, row + part.size(0)).copy_from(part);
    row += part.size(0);
  }
  save_state(o.save_logits,
             {{{"logits", all}, {"labels", Tensor::from(set.labels, {set.count})}},
              {{"model", o.model.model}, {"data", set.name}, {"split", o.data.split}}});
  return metrics;
}

int run(const Options& o) {
  o.common.apply();
  const Device device = o.device.get();
  const std::string path = o.model.path(o.common);
  const bool packed = quant::file_kind(path) == quant::FileKind::packed;
  const Runnable model = packed ? runnable_packed(path, device) : runnable_model(o, device);
  const data::ImageSet set = o.data.load(o.common);
  if (!o.save_logits.empty()) check_writable(o.save_logits);
  const distill::Metrics m = evaluate(o, model, set, device);
  check<CheckFailed>(std::isfinite(m.loss), "{}: the loss is {}", path, m.loss);
  if (o.common.json) {
    const nlohmann::ordered_json report{{"top1", std::round(m.top1 * 1e4) / 1e4},
                                        {"images", m.images},
                                        {"correct", m.correct},
                                        {"loss", m.loss},
                                        {"images_per_s", m.images_per_s},
                                        {"model_bytes", std::filesystem::file_size(path)},
                                        {"arch", model.arch.substr(0, model.arch.find(' '))},
                                        {"kind", model.kind},
                                        {"policy", model.policy},
                                        {"damaged_images", set.bad.count}};
    std::printf("%s\n", report.dump().c_str());
    return 0;
  }
  std::printf("top-1 %.2f %% (%lld of %lld images), loss %.4f, %.0f images/s\n", m.top1,
              (long long)m.correct, (long long)m.images, m.loss, m.images_per_s);
  return 0;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(eval) {
  using namespace apprentice::tools;
  verbs().add("eval", {"Accuracy of a model, packed or not, on a data set", [](CLI::App& app) {
                         auto o = std::make_shared<Options>();
                         o->model.add_to(app);
                         o->data.add_to(app);
                         app.add_option("--batch", o->batch, "Images a batch")
                             ->check(CLI::PositiveNumber)
                             ->capture_default_str();
                         app.add_option(
                             "--save-logits", o->save_logits,
                             "Write logits and labels here (safetensors), in the order of the set");
                         o->device.add_to(app);
                         o->common.add_to(app);
                         return [o] { return run(*o); };
                       }});
}
