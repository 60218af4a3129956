#include <apprentice/distill/teacher.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/precision.h>
#include <apprentice/distill/hash.h>

namespace apprentice::distill {

namespace {

constexpr const char* kFormat = "apprentice-logits";

std::string epoch_name(int64_t epoch) { return fmt::format("epoch.{}", epoch); }

std::map<std::string, std::string> metadata_of(const LogitsKey& key) {
  return {{"format", kFormat},
          {"teacher", key.teacher},
          {"data", key.data},
          {"augment", key.augment},
          {"seed", std::to_string(key.seed)},
          {"images", std::to_string(key.images)},
          {"epochs", std::to_string(key.epochs)},
          {"classes", std::to_string(key.classes)}};
}

int64_t number(const SafetensorsFile& file, const std::string& name) {
  const std::string text = file.metadata(name);
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check<DamagedFile>(error == std::errc() && end == text.data() + text.size() && value >= 0,
                     "{}: metadata '{}' is '{}', expected a number", file.name(), name, text);
  return value;
}

LogitsKey read_key(const SafetensorsFile& file) {
  check<DamagedFile>(file.metadata("format") == kFormat,
                     "{}: is no file of stored logits: metadata 'format' is '{}', expected '{}'",
                     file.name(), file.metadata("format"), kFormat);
  return {.teacher = file.metadata("teacher"),
          .data = file.metadata("data"),
          .augment = file.metadata("augment"),
          .seed = number(file, "seed"),
          .images = number(file, "images"),
          .epochs = number(file, "epochs"),
          .classes = number(file, "classes")};
}

/// The stored key must be the expected one; more epochs are fine, and so is any teacher if none is
/// expected.
void check_key(const std::string& path, const LogitsKey& stored, LogitsKey expected) {
  if (expected.teacher.empty()) expected.teacher = stored.teacher;
  if (stored.epochs > expected.epochs) expected.epochs = stored.epochs;
  const auto there = metadata_of(stored);
  for (const auto& [name, value] : metadata_of(expected))
    check<ConfigError>(there.at(name) == value,
                       "{}: stored logits are of another run: {} is '{}' there, '{}' here", path,
                       name, there.at(name), value);
}

}  // namespace

OnlineTeacher::OnlineTeacher(std::shared_ptr<nn::TensorModule> network)
    : network_(std::move(network)) {
  network_->eval();
  network_->set_requires_grad(false);
}

Tensor OnlineTeacher::logits(const data::Batch& batch, int64_t /*epoch*/) {
  const NoGrad no_grad;
  return network_->forward(batch.x);
}

LogitsWriter::LogitsWriter(std::string path, LogitsKey key)
    : path_(std::move(path)), key_(std::move(key)) {
  check(key_.images > 0 && key_.epochs > 0 && key_.classes > 0,
        "stored logits: {} images, {} epochs, {} classes, expected at least 1 of each", key_.images,
        key_.epochs, key_.classes);
  check_writable(path_);
  for (int64_t epoch = 0; epoch < key_.epochs; ++epoch) {
    epochs_.push_back(Tensor::zeros({key_.images, key_.classes}));
    seen_.emplace_back(size_t(key_.images), false);
  }
}

void LogitsWriter::add(const data::Batch& batch, int64_t epoch, const Tensor& logits) {
  check(epoch >= 0 && epoch < key_.epochs, "stored logits: epoch is {}, expected below {}", epoch,
        key_.epochs);
  check<ShapeError>(logits.shape() == Shape{batch.size(), key_.classes},
                    "stored logits: logits are {}, expected [{}, {}]", logits.shape().str(),
                    batch.size(), key_.classes);
  float* out = epochs_[size_t(epoch)].data<float>();
  const Tensor host = widened(logits).to(Device{});
  const float* row = host.data<float>();
  for (const int64_t id : batch.ids) {
    check(id >= 0 && id < key_.images, "stored logits: sample {} of {}", id, key_.images);
    std::copy_n(row, key_.classes, out + id * key_.classes);
    seen_[size_t(epoch)][size_t(id)] = true;
    row += key_.classes;
  }
}

void LogitsWriter::close() {
  std::vector<TensorBytes> tensors;
  for (int64_t epoch = 0; epoch < key_.epochs; ++epoch) {
    const auto& seen = seen_[size_t(epoch)];
    const auto missing = std::find(seen.begin(), seen.end(), false);
    check(missing == seen.end(), "stored logits: sample {} of epoch {} was not added",
          missing - seen.begin(), epoch);
    const Tensor& logits = epochs_[size_t(epoch)];
    tensors.push_back(tensor_bytes(epoch_name(epoch), logits.shape(),
                                   std::span(logits.data<float>(), size_t(logits.numel()))));
  }
  write_safetensors(path_, std::move(tensors), metadata_of(key_));
}

StoredTeacher::StoredTeacher(const std::string& path, const LogitsKey& expected) : path_(path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const LogitsKey key = read_key(file);
  check_key(path, key, expected);
  const Shape shape{key.images, key.classes};
  for (int64_t epoch = 0; epoch < expected.epochs; ++epoch) {
    const TensorInfo& info = file.get(epoch_name(epoch));
    check<DamagedFile>(info.shape == shape && info.dtype == "F32",
                       "{}: tensor '{}' is {} {}, expected F32 {}", path, info.name, info.dtype,
                       info.shape.str(), shape.str());
    epochs_.push_back(Tensor::from(info.values<float>(), shape));
  }
}

Tensor StoredTeacher::logits(const data::Batch& batch, int64_t epoch) {
  check(epoch >= 0 && epoch < int64_t(epochs_.size()), "{}: holds {} epochs, asked for epoch {}",
        path_, epochs_.size(), epoch);
  const Tensor& stored = epochs_[size_t(epoch)];
  const int64_t classes = stored.size(1);
  Tensor logits = Tensor::empty({batch.size(), classes});
  float* out = logits.data<float>();
  for (const int64_t id : batch.ids) {
    check(id >= 0 && id < stored.size(0), "{}: holds {} samples, asked for sample {}", path_,
          stored.size(0), id);
    out = std::copy_n(std::as_const(stored).data<float>() + id * classes, classes, out);
  }
  return logits.to(batch.x.device());
}

std::string state_hash(const nn::Module& network) {
  Hash hash;
  for (const auto& [name, tensor] : network.state_dict()) {
    const std::string head = name + tensor.shape().str() + std::string(name_of(tensor.dtype()));
    hash.add(std::as_bytes(std::span(head)));
    const Tensor host = tensor.to(Device{});
    hash.add(
        {static_cast<const std::byte*>(host.raw()), size_t(host.numel()) * size_of(host.dtype())});
  }
  return hash.hex();
}

}  // namespace apprentice::distill
