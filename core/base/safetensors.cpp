#include <apprentice/base/safetensors.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include <nlohmann/json.hpp>

#include <apprentice/base/files.h>
#include <apprentice/base/safetensors_header_internal.h>

namespace apprentice {
namespace {

constexpr size_t kDataAlignment = 64;

void check_length(size_t bytes, const std::string& file) {
  check<DamagedFile>(bytes >= kSafetensorsLengthBytes,
                     "{}: {} bytes are too few for a safetensors file", file, bytes);
}

void check_writable(const TensorBytes& t) {
  const int bits = safetensors_bits(t.dtype);
  check(bits != 0, "safetensors: tensor '{}' has the unknown dtype '{}'", t.name, t.dtype);
  check(size_t(t.shape.numel()) * size_t(bits) == t.data.size() * 8,
        "safetensors: tensor '{}' {} of {} is given {} bytes", t.name, t.shape.str(), t.dtype,
        t.data.size());
  check(!t.name.empty() && t.name != "__metadata__", "safetensors: '{}' is no name for a tensor",
        t.name);
}

}  // namespace

SafetensorsFile::SafetensorsFile(SafetensorsHeader header, std::shared_ptr<Buffer> data,
                                 size_t bytes, std::string name)
    : name_(std::move(name)),
      data_(std::move(data)),
      bytes_(bytes),
      metadata_(std::move(header.metadata)) {
  const auto* base = static_cast<const std::byte*>(data_->data());
  tensors_.reserve(header.entries.size());
  for (auto& e : header.entries) {
    by_name_.push_back(uint32_t(tensors_.size()));
    tensors_.push_back({std::move(e.name),
                        std::move(e.dtype),
                        e.shape,
                        {base + e.begin, size_t(e.end - e.begin)}});
  }
  std::sort(by_name_.begin(), by_name_.end(),
            [&](uint32_t a, uint32_t b) { return tensors_[a].name < tensors_[b].name; });
}

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  InputFile file(path);
  check_length(file.bytes(), path);
  std::array<unsigned char, kSafetensorsLengthBytes> first;
  file.read(std::as_writable_bytes(std::span(first)));
  std::string json(safetensors_header_length(first.data(), file.bytes(), path), '\0');
  file.read(std::as_writable_bytes(std::span(json)));
  const size_t data_bytes = file.bytes() - first.size() - json.size();
  SafetensorsHeader header = parse_safetensors_header(json, data_bytes, path);
  auto data = std::make_shared<Buffer>(data_bytes);
  file.read({static_cast<std::byte*>(data->data()), data_bytes});
  return SafetensorsFile(std::move(header), std::move(data), file.bytes(), path);
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, const std::string& name) {
  check_length(bytes.size(), name);
  const auto* first = reinterpret_cast<const unsigned char*>(bytes.data());
  const size_t length = safetensors_header_length(first, bytes.size(), name);
  const std::span<const std::byte> values = bytes.subspan(kSafetensorsLengthBytes + length);
  const std::string_view json(reinterpret_cast<const char*>(first) + kSafetensorsLengthBytes,
                              length);
  SafetensorsHeader header = parse_safetensors_header(json, values.size(), name);
  auto data = std::make_shared<Buffer>(values.size());
  if (!values.empty()) std::memcpy(data->data(), values.data(), values.size());
  return SafetensorsFile(std::move(header), std::move(data), bytes.size(), name);
}

std::string SafetensorsFile::metadata(const std::string& key, const std::string& fallback) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? fallback : it->second;
}

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
  const auto it = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [&](uint32_t i, const std::string& wanted) { return tensors_[i].name < wanted; });
  return it != by_name_.end() && tensors_[*it].name == name ? &tensors_[*it] : nullptr;
}

const TensorInfo& SafetensorsFile::get(const std::string& name) const {
  const TensorInfo* tensor = find(name);
  check<DamagedFile>(tensor != nullptr, "{}: no tensor '{}'", name_, name);
  return *tensor;
}

std::string safetensors_header(std::vector<TensorBytes>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  const auto order = [](const TensorBytes& t) {
    return std::tuple<int, const std::string&>(-safetensors_bits(t.dtype), t.name);
  };
  std::sort(tensors.begin(), tensors.end(),
            [&](const TensorBytes& a, const TensorBytes& b) { return order(a) < order(b); });
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::set<std::string_view> names;
  size_t at = 0;
  for (const TensorBytes& t : tensors) {
    check_writable(t);
    check(names.insert(t.name).second, "safetensors: two tensors are called '{}'", t.name);
    const std::vector<int64_t> shape(t.shape.begin(), t.shape.end());
    json[t.name] = {
        {"dtype", t.dtype}, {"shape", shape}, {"data_offsets", {at, at + t.data.size()}}};
    at += t.data.size();
  }
  std::string text = json.dump();
  text.resize((kSafetensorsLengthBytes + text.size() + kDataAlignment - 1) / kDataAlignment *
                      kDataAlignment -
                  kSafetensorsLengthBytes,
              ' ');
  std::string length;
  for (size_t i = 0; i < kSafetensorsLengthBytes; ++i)
    length += char(uint64_t(text.size()) >> (8 * i) & 0xff);
  return length + text;
}

void write_safetensors(const std::string& path, std::vector<TensorBytes> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = safetensors_header(tensors, metadata);
  std::vector<std::span<const std::byte>> parts{std::as_bytes(std::span(header))};
  for (const TensorBytes& t : tensors) parts.push_back(t.data);
  write_file_durably(path, parts);
}

}  // namespace apprentice
