#include <apprentice/quant/policy.h>

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/json_internal.h>
#include <apprentice/base/text.h>
#include <apprentice/quant/activation_quantizer.h>
#include <apprentice/quant/quantizer.h>

namespace apprentice::quant {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kNone = "none";

std::string list(const std::vector<int>& bits) {
  std::vector<std::string> names;
  for (int b : bits) names.push_back(std::to_string(b));
  return join(names, ", ");
}

void check_method(const std::string& key, const std::string& value,
                  std::vector<std::string> known) {
  known.insert(known.begin(), kNone);
  check<ConfigError>(std::find(known.begin(), known.end(), value) != known.end(),
                     "quant.{} is '{}'{}, expected one of: {}", key, value,
                     did_you_mean(value, known), join(known, ", "));
}

void check_bits(const std::string& key, int value, const std::string& method,
                const std::vector<int>& allowed) {
  check<ConfigError>(std::find(allowed.begin(), allowed.end(), value) != allowed.end(),
                     "quant.{} is {}, but {} takes {}", key, value, method, list(allowed));
}

void check_layer(const LayerPolicy& layer, const std::string& where) {
  check_method(where + "weights", layer.weights, quantizers().names());
  check_method(where + "activations", layer.activations, activation_quantizers().names());
  if (layer.weights != kNone) {
    const WeightMethod& method = quantizers().get(layer.weights);
    check_bits(where + "w_bits", layer.w_bits, layer.weights, method.bits);
    check<ConfigError>(method.per_channel || !layer.per_channel,
                       "quant.{}granularity is 'channel', but {} takes 'layer' only", where,
                       layer.weights);
  }
  if (layer.activations != kNone)
    check_bits(where + "a_bits", layer.a_bits, layer.activations,
               activation_quantizers().get(layer.activations).bits);
}

LayerPolicy merged(LayerPolicy layer, const LayerOverride& other) {
  if (!other.weights.empty()) {
    layer.per_channel = layer.per_channel && other.weights == layer.weights;
    layer.weights = other.weights;
  }
  if (!other.activations.empty()) layer.activations = other.activations;
  if (other.w_bits != 0) layer.w_bits = other.w_bits;
  if (other.a_bits != 0) layer.a_bits = other.a_bits;
  return layer;
}

/// Reads the fields of a JSON object, and complains about those that nobody asked for.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    check<ConfigError>(object.is_object(), "quant: got {}, expected an object", object.dump());
  }

  void read(const char* key, std::string& value) {
    if (const json* found = find(key)) {
      expect(key, *found, found->is_string(), "text");
      value = found->get<std::string>();
    }
  }
  void read(const char* key, int& value) {
    if (const json* found = find(key)) {
      expect(key, *found, found->is_number_integer(), "a whole number");
      value = found->get<int>();
    }
  }
  void read(const char* key, std::vector<std::string>& value) {
    const json* found = find(key);
    if (!found) return;
    const auto is_text = [](const json& each) { return each.is_string(); };
    expect(key, *found, found->is_array() && std::all_of(found->begin(), found->end(), is_text),
           "a list of texts");
    value = found->get<std::vector<std::string>>();
  }
  const json* find(const char* key) {
    known_.push_back(key);
    const auto at = object_.find(key);
    return at == object_.end() ? nullptr : &*at;
  }
  void done() const {
    for (const auto& [key, value] : object_.items())
      check<ConfigError>(std::find(known_.begin(), known_.end(), key) != known_.end(),
                         "quant: unknown key '{}{}'{}", where_, key, did_you_mean(key, known_));
  }

 private:
  void expect(const char* key, const json& value, bool ok, const char* expected) const {
    check<ConfigError>(ok, "quant.{}{} is {}, expected {}", where_, key, value.dump(), expected);
  }

  const json& object_;
  std::string where_;
  std::vector<std::string> known_;
};

LayerOverride override_from(const json& object, size_t index) {
  LayerOverride other;
  Fields fields(object, fmt::format("overrides[{}].", index));
  fields.read("layers", other.layers);
  fields.read("weights", other.weights);
  fields.read("activations", other.activations);
  fields.read("w_bits", other.w_bits);
  fields.read("a_bits", other.a_bits);
  fields.done();
  return other;
}

ordered_json json_of(const LayerOverride& other) {
  ordered_json object{{"layers", other.layers}};
  if (!other.weights.empty()) object["weights"] = other.weights;
  if (other.w_bits != 0) object["w_bits"] = other.w_bits;
  if (!other.activations.empty()) object["activations"] = other.activations;
  if (other.a_bits != 0) object["a_bits"] = other.a_bits;
  return object;
}

}  // namespace

bool Policy::quantizes() const {
  const auto any = [](const std::string& method) { return !method.empty() && method != kNone; };
  return any(layer.weights) || any(layer.activations) ||
         std::any_of(overrides.begin(), overrides.end(), [&](const LayerOverride& other) {
           return any(other.weights) || any(other.activations);
         });
}

LayerPolicy policy_for(const Policy& policy, const std::string& layer) {
  LayerPolicy result = policy.layer;
  for (const LayerOverride& other : policy.overrides)
    if (matches(other.layers, layer)) result = merged(result, other);
  for (const std::string& pattern : policy.keep)
    if (matches(pattern, layer)) result.weights = kNone;
  return result;
}

void validate(const Policy& policy) {
  check_layer(policy.layer, "");
  for (const std::string& pattern : policy.keep)
    check<ConfigError>(!pattern.empty(), "quant.keep holds an empty pattern, expected layer names");
  for (size_t i = 0; i < policy.overrides.size(); ++i) {
    const LayerOverride& other = policy.overrides[i];
    check<ConfigError>(!other.layers.empty(),
                       "quant.overrides[{}].layers is empty, expected a pattern of layer names", i);
    check_layer(merged(policy.layer, other), fmt::format("overrides[{}].", i));
  }
}

std::string to_json(const Policy& policy) {
  ordered_json object{{"weights", policy.layer.weights},
                      {"w_bits", policy.layer.w_bits},
                      {"granularity", policy.layer.per_channel ? "channel" : "layer"},
                      {"activations", policy.layer.activations},
                      {"a_bits", policy.layer.a_bits},
                      {"keep", policy.keep}};
  for (const LayerOverride& other : policy.overrides) object["overrides"].push_back(json_of(other));
  return object.dump();
}

Policy policy_from_json(const std::string& text) {
  const json object = parse_json(text, "quantization policy");
  Policy policy;
  std::string granularity = "layer";
  Fields fields(object, "");
  fields.read("weights", policy.layer.weights);
  fields.read("w_bits", policy.layer.w_bits);
  fields.read("granularity", granularity);
  fields.read("activations", policy.layer.activations);
  fields.read("a_bits", policy.layer.a_bits);
  fields.read("keep", policy.keep);
  if (const json* overrides = fields.find("overrides")) {
    check<ConfigError>(overrides->is_array(), "quant.overrides is {}, expected a list",
                       overrides->dump());
    for (size_t i = 0; i < overrides->size(); ++i)
      policy.overrides.push_back(override_from((*overrides)[i], i));
  }
  fields.done();
  check<ConfigError>(granularity == "layer" || granularity == "channel",
                     "quant.granularity is '{}', expected 'layer' or 'channel'", granularity);
  policy.layer.per_channel = granularity == "channel";
  validate(policy);
  return policy;
}

std::string summary(const Policy& policy) {
  const LayerPolicy& layer = policy.layer;
  const bool weights = layer.weights != kNone, activations = layer.activations != kNone;
  std::string text =
      fmt::format("{}A-{}W", activations ? layer.a_bits : 32, weights ? layer.w_bits : 32);
  if (weights) text += " " + layer.weights;
  if (!policy.overrides.empty()) text += " mixed";
  return text;
}

}  // namespace apprentice::quant
