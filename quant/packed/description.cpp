#include <apprentice/packed/description.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/json_internal.h>
#include <apprentice/base/text.h>

namespace apprentice::packed {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int64_t kMostChannels = 65536, kMostSide = 16384, kMostPixels = 100'000'000;
constexpr int64_t kMostWindow = 64, kMostActivation = 65535;

/// The shortest number that reads back to the same f32.
double shortest(float value) {
  const double text = std::stod(fmt::format("{}", value));
  return float(text) == value ? text : double(value);
}

/// Fields with these values are left out: a packed file is small enough for its header to count.
constexpr std::array<int64_t, 2> kStride{1, 1};
constexpr int32_t kMaxCode = 255;
/// The one zero point of signed codes.
constexpr int32_t kZeroPoint = 128;
std::array<int64_t, 2> same_padding(const std::array<int64_t, 2>& kernel) {
  return {(kernel[0] - 1) / 2, (kernel[1] - 1) / 2};
}

ordered_json layer_json(const Layer& l) {
  ordered_json j = {{"op", l.op}, {"name", l.name}};
  if (l.op == "conv") j["weights"] = l.weights;
  j["x"] = l.x;
  j["y"] = l.y;
  const bool convolution = l.op == "stem" || l.op == "conv";
  if (convolution || l.op == "linear") {
    j["in"] = l.in;
    j["out"] = l.out;
  }
  if (convolution || l.op == "max_pool") {
    j["kernel"] = l.kernel;
    if (l.stride != kStride) j["stride"] = l.stride;
    if (l.padding != same_padding(l.kernel)) j["padding"] = l.padding;
  }
  if (convolution && l.max_code != kMaxCode) j["max_code"] = l.max_code;
  if (l.zero_point != 0) j["zero_point"] = l.zero_point;
  if (l.residual >= 0) {
    j["residual"] = l.residual;
    j["r"] = shortest(l.r);
  }
  if (l.op == "global_avg_pool") j["step"] = shortest(l.step);
  return j;
}

/// Reads the fields of one JSON object, each once; what is left over is unknown.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    check<DamagedFile>(object.is_object(), "{}: expected a JSON object", where_);
  }

  bool has(const char* key) const { return object_.contains(key); }
  const json& get(const char* key) {
    check<DamagedFile>(has(key), "{}: field '{}' is missing", where_, key);
    seen_.insert(key);
    return object_[key];
  }
  std::string text(const char* key) {
    const json& value = get(key);
    check<DamagedFile>(value.is_string(), "{}: {} is {}, expected text", where_, key, value.dump());
    return value.get<std::string>();
  }
  int64_t integer(const char* key, int64_t low, int64_t high) {
    return as_integer(get(key), key, low, high);
  }
  std::array<int64_t, 2> pair(const char* key, int64_t low, int64_t high) {
    const json& value = get(key);
    check<DamagedFile>(value.is_array() && value.size() == 2, "{}: {} is {}, expected two integers",
                       where_, key, value.dump());
    return {as_integer(value[0], key, low, high), as_integer(value[1], key, low, high)};
  }
  /// A finite f32 > 0.
  float positive(const char* key) {
    const json& value = get(key);
    const float number = value.is_number() ? value.get<float>() : -1;
    check<DamagedFile>(number > 0 && std::isfinite(number),
                       "{}: {} is {}, expected a finite number above 0", where_, key, value.dump());
    return number;
  }
  void finish() const {
    for (const auto& item : object_.items()) {
      check<DamagedFile>(seen_.count(item.key()) != 0, "{}: unknown field '{}'", where_,
                         item.key());
    }
  }
  const std::string& where() const { return where_; }

 private:
  int64_t as_integer(const json& value, const char* key, int64_t low, int64_t high) const {
    const bool fits = value.is_number_integer() &&
                      !(value.is_number_unsigned() &&
                        value.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max()));
    const int64_t number = fits ? value.get<int64_t>() : 0;
    check<DamagedFile>(fits && number >= low && number <= high,
                       "{}: {} is {}, expected an integer from {} to {}", where_, key, value.dump(),
                       low, high);
    return number;
  }

  const json& object_;
  std::string where_;
  std::set<std::string> seen_;
};

void read_window(Fields& f, Layer& l) {
  l.kernel = f.pair("kernel", 1, kMostWindow);
  l.stride = f.has("stride") ? f.pair("stride", 1, kMostWindow) : kStride;
  l.padding = f.has("padding") ? f.pair("padding", 0, kMostWindow) : same_padding(l.kernel);
}

void read_max_code(Fields& f, Layer& l) {
  l.max_code = f.has("max_code") ? int32_t(f.integer("max_code", 1, kMaxCode)) : kMaxCode;
}

void read_max_pool(Fields& f, Layer& l) {
  read_window(f, l);
  check<DamagedFile>(l.padding[0] < l.kernel[0] && l.padding[1] < l.kernel[1],
                     "{}: padding is [{}, {}], expected less than the kernel [{}, {}]", f.where(),
                     l.padding[0], l.padding[1], l.kernel[0], l.kernel[1]);
}

void read_conv(Fields& f, Layer& l) {
  l.weights = f.text("weights");
  check<DamagedFile>(l.weights == "ternary" || l.weights == "ttq" || l.weights == "int4",
                     "{}: weights is '{}', expected ternary, ttq or int4", f.where(), l.weights);
  if (f.has("zero_point")) l.zero_point = int32_t(f.integer("zero_point", 0, kZeroPoint));
  check<DamagedFile>(l.zero_point == 0 || (l.zero_point == kZeroPoint && l.max_code == kMaxCode),
                     "{}: zero_point is {} and max_code {}, expected 0, or {} and {}", f.where(),
                     l.zero_point, l.max_code, kZeroPoint, kMaxCode);
  if (!f.has("residual")) return;
  l.residual = f.integer("residual", 1, kMostActivation);
  l.r = f.positive("r");
}

Layer read_layer(const json& object, const std::string& file, size_t index) {
  Fields unnamed(object, fmt::format("{}: layer {}", file, index));
  Layer l;
  l.name = unnamed.text("name");
  check<DamagedFile>(!l.name.empty() && l.name.size() <= 256,
                     "{}: layer {}: name has {} bytes, expected 1 to 256", file, index,
                     l.name.size());
  Fields f(object, fmt::format("{}: layer '{}'", file, l.name));
  f.text("name");
  l.op = f.text("op");
  l.x = f.integer("x", 0, kMostActivation);
  l.y = f.integer("y", 1, kMostActivation);
  const bool convolution = l.op == "stem" || l.op == "conv";
  const bool pool = l.op == "max_pool" || l.op == "global_avg_pool";
  check<DamagedFile>(convolution || pool || l.op == "linear",
                     "{}: op is '{}', expected stem, conv, max_pool, global_avg_pool or linear",
                     f.where(), l.op);
  if (convolution || l.op == "linear") {
    l.in = f.integer("in", 1, kMostChannels);
    l.out = f.integer("out", 1, kMostChannels);
  }
  if (convolution) read_window(f, l);
  if (convolution) read_max_code(f, l);
  if (l.op == "max_pool") read_max_pool(f, l);
  if (l.op == "conv") read_conv(f, l);
  if (l.op == "global_avg_pool") l.step = f.positive("step");
  f.finish();
  return l;
}

constexpr const char* kSigned = "signed codes";
/// What an operation reads and gives: "image" is the input, "codes" a map of codes, "signed codes"
/// one with a zero point, "values" a row.
std::string reads(const Layer& l) {
  return l.op == "stem" ? "image" : l.op == "linear" ? "values" : "codes";
}
std::string gives(const Layer& l) {
  if (l.op == "global_avg_pool" || l.op == "linear") return "values";
  return l.zero_point == 0 ? "codes" : kSigned;
}

/// Every activation is written once, before it is read, and is of the kind that its reader takes.
void check_order(const Description& d, const std::string& file) {
  std::map<int64_t, std::string> kinds = {{0, "image"}};
  std::set<std::string> names;
  std::set<int64_t> unread;
  const auto read = [&](const Layer& l, int64_t id, const std::string& wanted) {
    const auto it = kinds.find(id);
    check<DamagedFile>(it != kinds.end(), "{}: layer '{}': activation {} is not computed before it",
                       file, l.name, id);
    check<DamagedFile>(it->second == wanted, "{}: layer '{}': activation {} holds {}, expected {}",
                       file, l.name, id, it->second, wanted);
    unread.erase(id);
  };
  for (const Layer& l : d.layers) {
    check<DamagedFile>(names.insert(l.name).second, "{}: two layers are named '{}'", file, l.name);
    read(l, l.x, reads(l));
    const auto shortcut = kinds.find(l.residual);
    const bool is_signed = shortcut != kinds.end() && shortcut->second == kSigned;
    if (l.residual >= 0) read(l, l.residual, is_signed ? kSigned : "codes");
    check<DamagedFile>(kinds.emplace(l.y, gives(l)).second,
                       "{}: layer '{}': activation {} is computed twice", file, l.name, l.y);
    unread.insert(l.y);
  }
  check<DamagedFile>(!d.layers.empty() && d.layers.back().op == "linear",
                     "{}: the last layer must be linear", file);
  check<DamagedFile>(unread.size() == 1, "{}: {} activations are never read, expected the last one",
                     file, unread.size());
}

}  // namespace

std::string to_json(const Description& description) {
  if (description.weights_only) return R"({"weights_only":true})";
  ordered_json layers = ordered_json::array();
  for (const Layer& layer : description.layers) layers.push_back(layer_json(layer));
  const ordered_json input = {{"height", description.height},
                              {"width", description.width},
                              {"channels", description.channels}};
  return ordered_json{{"input", input}, {"layers", layers}}.dump();
}

Description from_json(const std::string& text, const std::string& file) {
  const std::string where = fmt::format("{}: {}", file, kNetworkKey);
  const json root = parse_json(text, where);
  Fields f(root, where);
  Description d;
  if (f.has("weights_only")) {
    const json& flag = f.get("weights_only");
    check<DamagedFile>(flag.is_boolean() && flag.get<bool>(),
                       "{}: weights_only is {}, expected true", where, flag.dump());
    f.finish();
    d.weights_only = true;
    return d;
  }
  Fields input(f.get("input"), where + ": input");
  d.height = input.integer("height", 1, kMostSide);
  d.width = input.integer("width", 1, kMostSide);
  d.channels = input.integer("channels", 1, kMostChannels);
  check<DamagedFile>(d.height * d.width <= kMostPixels, "{}: input of {}x{} pixels is too large",
                     where, d.height, d.width);
  input.finish();
  const json& layers = f.get("layers");
  check<DamagedFile>(layers.is_array() && layers.size() <= 4096,
                     "{}: layers is no list of at most 4096", where);
  for (size_t i = 0; i < layers.size(); ++i) d.layers.push_back(read_layer(layers[i], file, i));
  f.finish();
  check_order(d, file);
  return d;
}

}  // namespace apprentice::packed
