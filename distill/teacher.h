#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <apprentice/data/batch.h>
#include <apprentice/nn/module.h>

namespace apprentice::distill {

/// What a frozen teacher says about a batch.
class Teacher {
 public:
  virtual ~Teacher() = default;
  /// Logits [n, classes] of the batch as it was augmented in `epoch`; never in the graph.
  virtual Tensor logits(const data::Batch& batch, int64_t epoch) = 0;
  /// As Method::recordable().
  virtual bool recordable() const { return false; }
};

/// Runs a network under NoGrad in eval mode (running statistics). Its parameters stop asking for
/// gradients, so no step can move them.
class OnlineTeacher final : public Teacher {
 public:
  explicit OnlineTeacher(std::shared_ptr<nn::TensorModule> network);
  Tensor logits(const data::Batch& batch, int64_t epoch) override;
  bool recordable() const override { return true; }

 private:
  std::shared_ptr<nn::TensorModule> network_;
};

/// Which pictures stored logits belong to. Augmentation is a function of (seed, epoch, sample), so
/// logits are exact for a run in which all of this is the same.
struct LogitsKey {
  std::string teacher;  ///< hash of its weights
  std::string data;     ///< name of the set
  std::string augment;
  int64_t seed = 0, images = 0, epochs = 0, classes = 0;
  friend bool operator==(const LogitsKey&, const LogitsKey&) = default;
};

/// Collects the logits of whole epochs and writes them: a safetensors file with one f32 tensor
/// "epoch.N" [images, classes] per epoch, rows by sample id, and the key as metadata.
class LogitsWriter {
 public:
  LogitsWriter(std::string path, LogitsKey key);
  /// Error for a sample id or epoch outside the key.
  void add(const data::Batch& batch, int64_t epoch, const Tensor& logits);
  /// Error naming the first sample that is missing; IoError if it cannot be written.
  void close();

 private:
  std::string path_;
  LogitsKey key_;
  std::vector<Tensor> epochs_;
  std::vector<std::vector<bool>> seen_;
};

/// Reads such a file. ConfigError naming what differs unless its key is `expected`; an empty
/// `expected.teacher` matches any, and more epochs than asked for are fine.
class StoredTeacher final : public Teacher {
 public:
  StoredTeacher(const std::string& path, const LogitsKey& expected);
  /// Error for a sample or epoch that the file does not hold.
  Tensor logits(const data::Batch& batch, int64_t epoch) override;

 private:
  std::string path_;
  std::vector<Tensor> epochs_;
};

/// XXH3-128, in hex, of names, shapes and values of the state: tells one set of weights from
/// another.
std::string state_hash(const nn::Module& network);

}  // namespace apprentice::distill
