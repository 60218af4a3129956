#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/base/graph.h>
#include <apprentice/core/written.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/quant/quantizer.h>
#include <apprentice/quant/weight_rows_internal.h>

namespace apprentice::quant {

/// Gathers the weights of a pass and launches it.
class WeightPass {
 public:
  using Op = kernels::QuantizeWeights;

  static Op::Weight weight_of(const Tensor& w, const WeightRule& rule, Tensor& codes,
                              Tensor& scale) {
    const auto sizes = rows_of(w, rule.per_channel);
    return {.w = w.as<float>(sizes),
            .codes = codes.as<float>(sizes),
            .rule = rule.rule,
            .factor = rule.factor,
            .scale = scale.view<float, 1>()};
  }

  /// Quantizes into the memory that the quantizer keeps.
  void add(const QuantizedLayer& layer) {
    const auto rule = layer.quantizer->rule();
    if (!rule) return;
    const Tensor w = layer.weight.detach();
    auto& made = layer.quantizer->made_;
    const bool again = made.codes.defined() && made.codes.shape() == w.shape() &&
                       made.codes.device() == w.device();
    if (!again) {
      made = {};
      made.codes = w.new_empty(w.shape());
      made.scale = w.new_empty({rows_of(w, rule->per_channel)[0]});
      made.flips = w.new_empty({2}, Dtype::i64);
      made.flips.fill(0);
    }
    list_.push_back({w, weight_of(w, *rule, made.codes, made.scale), rule->bound});
    // The first codes are no change.
    if (again) list_.back().codes.flips = made.flips.view<int64_t, 1>();
    kept_.push_back(layer.quantizer);
  }
  /// Quantizes into memory of its own, and counts zeros.
  void add(const QuantizedLayer& layer, const WeightRule& rule, View1<int64_t> zeros) {
    const Tensor w = layer.weight.detach();
    Tensor& codes = own_.emplace_back(w.new_empty(w.shape()));
    Tensor& scale = own_.emplace_back(w.new_empty({rows_of(w, rule.per_channel)[0]}));
    list_.push_back({w, weight_of(w, rule, codes, scale)});
    list_.back().codes.zeros = zeros;
  }

  /// What the optimizer moves, with its step; then the rest.
  void launch(nn::Optimizer& optimizer) {
    optimizer.apply_step(list_);
    launch();
  }
  void launch() {
    std::vector<Op::Weight> rest;
    for (const nn::ParameterCodes& each : list_)
      if (!each.made) rest.push_back(each.codes);
    if (!rest.empty())
      kernels::launch<Op>({rest}, current_stream(list_.front().parameter.device()));
    for (size_t i = 0; i < kept_.size(); ++i) {
      const Tensor& w = list_[i].parameter;
      kept_[i]->made_.of = w;
      kept_[i]->made_.written = times_written(w);
    }
  }

  static bool holds(const WeightQuantizer& quantizer, const Tensor& w) {
    const auto& made = quantizer.made_;
    return made.codes.defined() && std::as_const(made.of).bytes() == w.bytes() &&
           made.of.shape() == w.shape() && made.written == times_written(w);
  }

 private:
  std::vector<nn::ParameterCodes> list_;
  std::vector<std::shared_ptr<const WeightQuantizer>> kept_;  ///< those of the list, if any
  std::deque<Tensor> own_;
};

QuantizedWeight WeightQuantizer::quantize(const Tensor& w) const {
  const auto rule = this->rule();
  check(rule.has_value(), "weight quantizer {}: has neither a rule nor quantize()", name());
  Tensor codes = w.new_empty(w.shape()), scale = w.new_empty({rows_of(w, rule->per_channel)[0]});
  const WeightPass::Op::Weight weight[] = {WeightPass::weight_of(w, *rule, codes, scale)};
  kernels::launch<WeightPass::Op>({weight}, current_stream(w.device()));
  return of_codes(codes, scale);
}

QuantizedWeight WeightQuantizer::quantized(const Tensor& w) const {
  if (WeightPass::holds(*this, w)) return of_codes(made_.codes, made_.scale);
  if (rule() || w.device().is_cpu()) return quantize(w);
  const char* advice =
      Graph::recording() ? "it cannot be recorded: give it a rule(), or pass --no-graph"
                         : "give it a rule(), or compute by operations on tensors, or train on the "
                           "CPU";
  std::string problem;
  try {
    QuantizedWeight q = quantize(w);
    if (q.codes.device() == w.device() && q.scale.device() == w.device()) return q;
    problem = fmt::format("what it gives lies on {}", q.codes.device().str());
  } catch (const DeviceError& error) {
    problem = error.what();
  }
  throw DeviceError(fmt::format("weight quantizer {}: quantize() does not work on {} ({}); {}",
                                name(), w.device().str(), problem, advice));
}

QuantizedWeight WeightQuantizer::of_codes(const Tensor& codes, const Tensor& scale) const {
  const WeightRule own = rule().value();
  const bool uniform = own.rule == kernels::QuantizeWeights::Rule::uniform;
  return {codes, scale, {}, uniform ? int64_t(own.factor) : 1};
}

double WeightQuantizer::take_flips() const {
  if (!made_.flips.defined()) return -1;
  const std::vector<double> counts = made_.flips.to_vector<double>();
  made_.flips.fill(0);
  return counts[1] > 0 ? counts[0] / counts[1] : -1;
}

void quantize_all(const std::vector<QuantizedLayer>& layers) {
  WeightPass pass;
  for (const QuantizedLayer& layer : layers) pass.add(layer);
  pass.launch();
}

void apply_step(nn::Optimizer& optimizer, const std::vector<QuantizedLayer>& layers) {
  WeightPass pass;
  for (const QuantizedLayer& layer : layers) pass.add(layer);
  pass.launch(optimizer);
  for (const QuantizedLayer& layer : layers) layer.quantizer->after_step(layer.weight);
}

std::vector<double> zero_parts(const std::vector<QuantizedLayer>& layers) {
  if (layers.empty()) return {};
  Tensor counts = layers.front().weight.new_empty({int64_t(layers.size())}, Dtype::i64);
  counts.fill(0);
  const View1<int64_t> zeros = counts.view<int64_t, 1>();
  WeightPass pass;
  for (size_t i = 0; i < layers.size(); ++i)
    if (const auto rule = layers[i].quantizer->rule())
      pass.add(layers[i], *rule, {zeros.data + i, {1}});
  pass.launch();
  std::vector<double> parts = counts.to_vector<double>();
  for (size_t i = 0; i < layers.size(); ++i) {
    const Tensor w = layers[i].weight.detach();
    if (!layers[i].quantizer->rule()) {
      const auto codes = layers[i].quantizer->quantized(w).codes.to_vector<float>();
      parts[i] = double(std::count(codes.begin(), codes.end(), 0.0f));
    }
    parts[i] /= double(w.numel());
  }
  return parts;
}

}  // namespace apprentice::quant
