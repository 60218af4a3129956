#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include <apprentice/base/unit.h>
#include <apprentice/packed/packed_network.h>
#include <apprentice/quant/report.h>
#include <apprentice/tools/model_options.h>
#include <apprentice/tools/table.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  CommonOptions common;
  DeviceOption device;
  ModelArgument model;
};

/// How a packed network runs on a device.
struct Run {
  std::map<std::string, packed::LayerInfo> layers;  ///< by name
  Json memory;
};
Run run_of(const std::string& path, Device device) {
  const auto network = packed::PackedNetwork::load(path, {.device = device});
  Run run;
  for (const packed::LayerInfo& info : network.layers()) run.layers[info.name] = info;
  run.memory = {{"device", device.str()},
                {"weight_bytes", network.weight_bytes()},
                {"activation_bytes_an_image", network.activation_bytes(1)}};
  return run;
}

Json describe(const std::string& path, Device device) {
  const quant::FileKind kind = quant::file_kind(path);
  const quant::SizeReport size = quant::size_report(path);
  const bool packed = kind == quant::FileKind::packed;
  const Run run = packed ? run_of(path, device) : Run();
  Json layers = Json::array();
  for (const quant::LayerSize& layer : size.layers) {
    Json row{{"name", layer.name},
             {"type", layer.type},
             {"weights", layer.weights},
             {"bytes", layer.bytes},
             {"bits_per_weight", layer.bits_per_weight}};
    if (const auto it = run.layers.find(layer.name); it != run.layers.end()) {
      row["macs"] = it->second.macs;
      row["kernel"] = it->second.kernel;
      for (const auto& refusal : it->second.refusals)
        row["refused"].push_back(refusal.kernel + ": " + refusal.reason);
    }
    layers.push_back(row);
  }
  const State state = load_state(path);
  Json all{{"file", path},
           {"kind", packed ? "packed network"
                    : kind == quant::FileKind::packed_weights
                        ? "packed weights; eval decodes them to f32"
                        : "model"},
           {"metadata", state.metadata},
           {"weights", size.weights},
           {"data_bytes", size.data_bytes},
           {"file_bytes", size.file_bytes},
           {"f32_bytes", size.f32_bytes},
           {"compression", size.compression},
           {"layers", layers}};
  if (packed) all["memory"] = run.memory;
  return all;
}

void print(const Json& d) {
  std::printf("%s: %s, %s\n", d["file"].get<std::string>().c_str(),
              d["kind"].get<std::string>().c_str(),
              d["metadata"].value("arch", "no architecture named").c_str());
  Table table({"layer", "stored", "weights", "bytes", "bits/weight", "kernel"});
  for (const Json& layer : d["layers"]) {
    std::string kernel = layer.value("kernel", "");
    for (const Json& refused : layer.value("refused", Json::array()))
      kernel += "; refused " + refused.get<std::string>();
    table.add({layer["name"], layer["type"], layer["weights"].dump(), layer["bytes"].dump(),
               fmt::format("{:.2f}", layer["bits_per_weight"].get<double>()), kernel});
  }
  std::fputs(table.plain().c_str(), stdout);
  std::printf("%s weights in %s bytes (file %s); in f32 %s bytes: %.1fx\n",
              d["weights"].dump().c_str(), d["data_bytes"].dump().c_str(),
              d["file_bytes"].dump().c_str(), d["f32_bytes"].dump().c_str(),
              d["compression"].get<double>());
  if (!d.contains("memory")) return;
  const Json& memory = d["memory"];
  std::printf("in memory of %s: weights %s bytes, activations %s bytes an image\n",
              memory["device"].get<std::string>().c_str(), memory["weight_bytes"].dump().c_str(),
              memory["activation_bytes_an_image"].dump().c_str());
}

int run(const Options& o) {
  o.common.apply();
  const Device device = o.device.get();
  const Json description = describe(o.model.path(o.common), device);
  if (o.common.json) {
    std::printf("%s\n", description.dump().c_str());
  } else {
    print(description);
  }
  return 0;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(inspect) {
  using namespace apprentice::tools;
  verbs().add("inspect", {"Show what a model file holds, layer by layer, and which kernels run it",
                          [](CLI::App& app) {
                            auto o = std::make_shared<Options>();
                            o->model.add_to(app);
                            o->device.add_to(app);
                            o->common.add_to(app);
                            return [o] { return run(*o); };
                          }});
}
