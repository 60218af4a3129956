#include <algorithm>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/base/safetensors_header_internal.h>

namespace apprentice {
namespace {

constexpr size_t kMaxTensors = 65536, kMaxName = 512;
/// The shortest text of a tensor: {"a":{"dtype":"U8","shape":[],"data_offsets":[0,0]}}
constexpr size_t kShortestEntry = 48;

template <class... Args>
[[noreturn]] void damaged(const std::string& file, fmt::format_string<Args...> message,
                          Args&&... args) {
  throw DamagedFile(fmt::format("{}: {}", file, fmt::format(message, std::forward<Args>(args)...)));
}

bool is_printable(const std::string& name) {
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

/// Takes the header's JSON piece by piece and allows nothing but what the format knows, so a
/// hostile header costs no more memory than the tensors it can name:
///   {"__metadata__": {key: text, ...}, name: {"dtype": d, "shape": [...], "data_offsets": [b, e]}}
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(const std::string& file, size_t text_bytes) : file_(file) {
    header_.entries.reserve(std::min(kMaxTensors, text_bytes / kShortestEntry));
  }
  SafetensorsHeader take() { return std::move(header_); }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_float(number_float_t, const string_t& text) override { unexpected(text); }
  bool number_integer(number_integer_t value) override { unexpected(std::to_string(value)); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& value) override;
  bool start_object(size_t) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool key(string_t& name) override;
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    damaged(file_, "header is no valid JSON at byte {}: {}", position, error.what());
  }

 private:
  enum class At { start, top, metadata, tensor, shape, offsets, end };

  SafetensorsHeader::Entry& entry() { return header_.entries.back(); }
  void open_name(const std::string& name);
  void open_field(const std::string& name);

  /// What stands at this place, named as the reader of an error knows it.
  std::string place() const {
    if (at_ == At::start) return "header";
    if (at_ == At::top) return fmt::format("tensor '{}'", name_);
    if (at_ == At::metadata) return fmt::format("metadata key '{}'", name_);
    return fmt::format("tensor '{}': {}", header_.entries.back().name, name_);
  }
  std::string expected() const {
    if (at_ == At::start || at_ == At::top) return "an object";
    if (at_ == At::metadata || name_ == "dtype") return "a text";
    return "a list of whole numbers >= 0";
  }
  [[noreturn]] void unexpected(const std::string& what) const {
    damaged(file_, "{} is {}, expected {}", place(), what, expected());
  }

  const std::string& file_;
  SafetensorsHeader header_;
  At at_ = At::start;
  std::string name_;                  ///< the last key seen
  std::set<std::string_view> names_;  ///< of tensors; views of the entries, which do not move
  bool has_metadata_ = false;
  std::set<std::string> fields_;  ///< seen in the open tensor
  int offsets_ = 0;               ///< numbers seen in data_offsets
};

void HeaderReader::open_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxName)
    damaged(file_, "a tensor's name has {} bytes, expected 1 to {}", name.size(), kMaxName);
  if (!is_printable(name)) damaged(file_, "a tensor's name holds control characters");
  if (name != "__metadata__" && header_.entries.size() == kMaxTensors)
    damaged(file_, "more than {} tensors", kMaxTensors);
}

void HeaderReader::open_field(const std::string& name) {
  if (name != "dtype" && name != "shape" && name != "data_offsets")
    damaged(file_, "tensor '{}': unknown key '{}', expected dtype, shape and data_offsets",
            entry().name, name);
  if (!fields_.insert(name).second)
    damaged(file_, "tensor '{}': key '{}' stands twice", entry().name, name);
}

bool HeaderReader::key(string_t& name) {
  if (at_ == At::top) open_name(name);
  if (at_ == At::tensor) open_field(name);
  if (at_ == At::metadata && header_.metadata.count(name))
    damaged(file_, "metadata key '{}' stands twice", name);
  name_ = name;
  return true;
}

bool HeaderReader::start_object(size_t) {
  if (at_ == At::start) {
    at_ = At::top;
  } else if (at_ == At::top && name_ == "__metadata__") {
    if (has_metadata_) damaged(file_, "key '__metadata__' stands twice");
    has_metadata_ = true;
    at_ = At::metadata;
  } else if (at_ == At::top) {
    if (names_.count(name_)) damaged(file_, "tensor '{}' stands twice", name_);
    header_.entries.emplace_back().name = name_;
    names_.insert(entry().name);
    fields_.clear();
    offsets_ = 0;
    at_ = At::tensor;
  } else {
    unexpected("an object");
  }
  return true;
}

bool HeaderReader::end_object() {
  if (at_ == At::tensor)
    for (const char* field : {"dtype", "shape", "data_offsets"})
      if (!fields_.count(field)) damaged(file_, "tensor '{}': no {}", entry().name, field);
  at_ = at_ == At::top ? At::end : At::top;
  return true;
}

bool HeaderReader::start_array(size_t) {
  if (at_ != At::tensor || name_ == "dtype") unexpected("a list");
  at_ = name_ == "shape" ? At::shape : At::offsets;
  return true;
}

bool HeaderReader::end_array() {
  if (at_ == At::offsets && offsets_ != 2)
    damaged(file_, "tensor '{}': data_offsets has {} numbers, expected 2", entry().name, offsets_);
  at_ = At::tensor;
  return true;
}

bool HeaderReader::string(string_t& value) {
  if (at_ == At::metadata) {
    header_.metadata.emplace(name_, value);
  } else if (at_ == At::tensor && name_ == "dtype") {
    if (safetensors_bits(value) == 0)
      damaged(file_, "tensor '{}': unknown dtype '{}'", entry().name, value.substr(0, 32));
    entry().dtype = value;
  } else {
    unexpected("a text");
  }
  return true;
}

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  if (at_ == At::shape) {
    if (entry().shape.rank() == Shape::kMaxRank)
      damaged(file_, "tensor '{}': more than {} axes", entry().name, Shape::kMaxRank);
    if (value > uint64_t(std::numeric_limits<int64_t>::max()))
      damaged(file_, "tensor '{}': size {} of an axis is too large", entry().name, value);
    entry().shape.push_back(int64_t(value));
  } else if (at_ == At::offsets) {
    (offsets_++ == 0 ? entry().begin : entry().end) = value;
  } else {
    unexpected(std::to_string(value));
  }
  return true;
}

/// Bytes that dtype and shape ask for.
uint64_t wanted_bytes(const SafetensorsHeader::Entry& e, const std::string& file) {
  uint64_t bits = uint64_t(safetensors_bits(e.dtype));
  bool fits = true;
  for (int64_t size : e.shape) fits &= !__builtin_mul_overflow(bits, uint64_t(size), &bits);
  if (!fits) damaged(file, "tensor '{}': shape {} is too large", e.name, e.shape.str());
  if (bits % 8 != 0)
    damaged(file, "tensor '{}': shape {} of {} is no whole number of bytes", e.name, e.shape.str(),
            e.dtype);
  return bits / 8;
}

void check_range(const SafetensorsHeader::Entry& e, uint64_t data_bytes, const std::string& file) {
  if (e.begin > e.end || e.end > data_bytes)
    damaged(file, "tensor '{}': data_offsets [{}, {}] lie outside of the {} bytes of data", e.name,
            e.begin, e.end, data_bytes);
  const uint64_t wanted = wanted_bytes(e, file);
  if (e.end - e.begin != wanted)
    damaged(file, "tensor '{}': data_offsets [{}, {}] hold {} bytes, but {} {} takes {}", e.name,
            e.begin, e.end, e.end - e.begin, e.dtype, e.shape.str(), wanted);
}

/// The ranges, sorted, must follow one another from 0 to the end.
void check_layout(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& file) {
  uint64_t at = 0;
  for (const auto& e : header.entries) {
    if (e.begin < at)
      damaged(file, "tensor '{}': data overlap those of another tensor by {} bytes", e.name,
              at - e.begin);
    if (e.begin > at)
      damaged(file, "tensor '{}': {} unused bytes before its data", e.name, e.begin - at);
    at = e.end;
  }
  if (at != data_bytes) damaged(file, "{} bytes of data, but the tensors take {}", data_bytes, at);
}

}  // namespace

int safetensors_bits(std::string_view dtype) {
  static const std::map<std::string_view, int> bits{
      {"BOOL", 8},        {"F4", 4},         {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
      {"I8", 8},          {"F8_E5M2", 8},    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
      {"U16", 16},        {"F16", 16},       {"BF16", 16},   {"I32", 32},    {"U32", 32},
      {"F32", 32},        {"C64", 64},       {"F64", 64},    {"I64", 64},    {"U64", 64},
      {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
  const auto it = bits.find(dtype);
  return it == bits.end() ? 0 : it->second;
}

size_t safetensors_header_length(const unsigned char* first8, size_t file_bytes,
                                 const std::string& file) {
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | first8[i];
  if (length > kSafetensorsMaxHeader)
    damaged(file, "header of {} bytes, expected at most {} (is it a safetensors file?)", length,
            kSafetensorsMaxHeader);
  if (length > file_bytes - kSafetensorsLengthBytes)
    damaged(file, "header of {} bytes, but the file has only {}: it is cut off", length,
            file_bytes);
  return size_t(length);
}

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes,
                                           const std::string& file) {
  if (!json.starts_with('{')) damaged(file, "header does not begin with '{{'");
  // The parser takes a zero byte for the end of its input.
  if (json.find('\0') != json.npos) damaged(file, "header is no valid JSON: a zero byte");
  HeaderReader reader(file, json.size());
  nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  SafetensorsHeader header = reader.take();
  for (const auto& e : header.entries) check_range(e, data_bytes, file);
  std::stable_sort(header.entries.begin(), header.entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_layout(header, data_bytes, file);
  return header;
}

}  // namespace apprentice
