#include <apprentice/tools/bench_layers.h>

#include <algorithm>

#include <fmt/format.h>

#include <apprentice/tools/benchmark.h>

namespace apprentice::tools {

std::vector<LayerTiming> time_layers(packed::PackedNetwork& network, View4<const float> x,
                                     View2<float> logits, double seconds, int64_t least) {
  const auto& infos = network.layers();
  std::vector<std::vector<double>> runs(infos.size());
  const auto once = [&] {
    std::vector<double> taken(infos.size(), 0.0);
    network.profile(x, logits, taken);
    for (size_t i = 0; i < taken.size(); ++i) runs[i].push_back(taken[i]);
  };
  time_runs(once, seconds, least, false);
  const auto plan = network.memory_plan(x.size(0));
  std::vector<LayerTiming> layers;
  double all = 0;
  for (size_t i = 0; i < infos.size(); ++i) {
    auto& times = runs[i];
    std::nth_element(times.begin(), times.begin() + long(times.size() / 2), times.end());
    LayerTiming layer{infos[i], plan[i], times[times.size() / 2] / double(x.size(0)) * 1e6};
    if (layer.us > 0) layer.gop_s = 2e-3 * double(layer.info.macs) / layer.us;
    all += layer.us;
    layers.push_back(std::move(layer));
  }
  for (LayerTiming& layer : layers) layer.share = all > 0 ? layer.us / all : 0;
  return layers;
}

Table layer_table(const std::vector<LayerTiming>& layers) {
  Table table({"layer", "kernel", "output", "bytes", "at", "until", "us an image", "%", "GOP/s"});
  for (const LayerTiming& l : layers) {
    const auto& y = l.info.y;
    const packed::PlannedBlock& memory = l.memory;
    const bool planned = memory.bytes > 0;  // the last one's is the caller's
    table.add({l.info.name, l.info.kernel, fmt::format("{}x{}x{}", y[0], y[1], y[2]),
               planned ? std::to_string(memory.bytes) : std::string("-"),
               planned ? std::to_string(memory.offset) : std::string("-"),
               planned ? layers[memory.last].info.name : std::string("-"),
               fmt::format("{:.2f}", l.us), fmt::format("{:.1f}", l.share * 100),
               l.gop_s > 0 ? fmt::format("{:.0f}", l.gop_s) : std::string("-")});
  }
  return table;
}

}  // namespace apprentice::tools
