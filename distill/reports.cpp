#include <apprentice/distill/reports_internal.h>

#include <algorithm>
#include <map>

#include <apprentice/base/runtime.h>
#include <apprentice/base/text.h>
#include <apprentice/distill/health.h>
#include <apprentice/quant/prepare.h>

namespace apprentice::distill {
namespace {

/// Blocks of the recorded step that are named.
constexpr size_t kBlocksShown = 5;

size_t bytes_of(const std::string& label, DeviceAllocator& allocator) {
  for (const auto& [name, bytes] : allocator.users())
    if (name == label) return bytes;
  return 0;
}

/// The graph's fields; what it holds comes by label.
void add_graph(const GraphMemory& graph, Fields& fields) {
  fields.emplace_back("step", int64_t(graph.held));
  fields.emplace_back("step.without_reuse", int64_t(graph.asked));
  std::map<std::string, size_t> by_label;
  for (const GraphMemory::Blocks& blocks : graph.blocks)
    by_label[blocks.label] += blocks.bytes * blocks.count;
  for (const auto& [label, bytes] : by_label) fields.emplace_back("step." + label, int64_t(bytes));
  for (size_t i = 0; i < std::min(kBlocksShown, graph.blocks.size()); ++i) {
    const GraphMemory::Blocks& blocks = graph.blocks[i];
    fields.emplace_back(fmt::format("largest.{}", i + 1),
                        fmt::format("{} x {} ({})", blocks.count, blocks.bytes, blocks.label));
  }
}

}  // namespace

Report learning_rate_report(nn::Module& student) {
  Fields fields;
  for (const auto& [name, rule] : quant::parameter_rules(student))
    if (rule.lr_scale != 1) fields.emplace_back(name + ".lr_scale", rule.lr_scale);
  return fields.empty() ? Report{} : Report{{"quant", fields}};
}

Report device_report(const Recipe& recipe, Device device, const std::string& not_recorded) {
  Report report;
  if (device.is_cpu() && recipe.train.precision != "f32")
    report.push_back({"warning",
                      {{"train.precision", recipe.train.precision},
                       {"problem", std::string("the CPU computes in f32")}}});
  if (!not_recorded.empty())
    report.push_back({"graph", {{"recorded", std::string("no")}, {"reason", not_recorded}}});
  return report;
}

Report bad_sample_report(const data::ImageSet& set) {
  if (set.bad.count == 0) return {};
  return {{"warning",
           {{"data", set.name},
            {"problem", fmt::format("{} damaged samples were replaced", set.bad.count)},
            {"samples", join(set.bad.names, "; ")}}}};
}

Report health_report(nn::Module& student) {
  const std::vector<quant::LayerHealth> layers = quant::health(student);
  Report report;
  Fields fields;
  for (const quant::LayerHealth& layer : layers) {
    if (layer.zeros >= 0) fields.emplace_back(layer.layer + ".zeros", layer.zeros);
    if (layer.flips >= 0) fields.emplace_back(layer.layer + ".flips", layer.flips);
    if (layer.saturated >= 0) fields.emplace_back(layer.layer + ".saturated", layer.saturated);
  }
  if (!fields.empty()) report.push_back({"quant", fields});
  for (const quant::LayerHealth& layer : layers)
    for (const std::string& problem : health_problems(layer))
      report.push_back({"warning", {{"layer", layer.layer}, {"problem", problem}}});
  return report;
}

Report memory_report(const TrainingState& networks, const GraphMemory& graph, Device device) {
  DeviceAllocator& allocator = device_allocator(device);
  const TrainingState::Memory own = networks.memory();
  // Networks that are not trained lie under the same label.
  const size_t trained = own.parameters + own.buffers;
  const size_t frozen = std::max(bytes_of("parameters", allocator), trained) - trained;
  const size_t data = bytes_of("data set", allocator);
  const MemoryUse use = allocator.use();
  const size_t taken = use.live + use.cached;
  const size_t named = trained + frozen + own.optimizer + data + graph.held;
  const Runtime::Memory memory = runtime_of(device.kind).memory(device.index);
  Fields fields{{"parameters", int64_t(own.parameters)},
                {"buffers", int64_t(own.buffers)},
                {"optimizer", int64_t(own.optimizer)},
                {"frozen_networks", int64_t(frozen)},
                {"data_set", int64_t(data)}};
  if (graph.held > 0) add_graph(graph, fields);
  fields.emplace_back("other", int64_t(taken - std::min(taken, named)));
  fields.emplace_back("taken", int64_t(taken));
  fields.emplace_back("most_in_use", int64_t(use.peak));
  fields.emplace_back("free", int64_t(memory.free));
  fields.emplace_back("total", int64_t(memory.total));
  return {{"memory", fields}};
}

}  // namespace apprentice::distill
