#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <apprentice/data/dataset.h>

namespace apprentice::data {

struct FindOptions {
  /// Roots of --data-root, asked before APPRENTICE_DATA, "." and "../shared".
  std::vector<std::string> data_roots{};
  ReadOptions read{};
  /// May a named set that is not there be downloaded from its official place?
  bool download = true;
  /// Told what takes long ("downloading cifar10 ..."); may be empty.
  std::function<void(const std::string&)> note{};
};

/// The roots that are searched, in order: data_roots, the folder in APPRENTICE_DATA, ".",
/// "../shared".
std::vector<std::filesystem::path> search_roots(const std::vector<std::string>& data_roots);

/// Loads `split` ("train" or "test") of a data set.
///
/// A path (it holds a '/' or is an existing file) is read as it is. A name is, in this order:
/// a generated set (`shapes10`, `shapes10:50000` for so many samples); found under a root, at
/// `<root>/data/NAME`, then `<root>/NAME`, as a folder or as NAME.tar, .tar.gz, .tar.zst or .bin;
/// downloaded to `data/NAME` of the first root that can be written.
/// MissingInput says what was sought where and what to put where; ConfigError for another split;
/// DamagedFile and IoError as the formats throw them, IoError also if a folder cannot be read.
ImageSet load_dataset(const std::string& name_or_path, const std::string& split,
                      const FindOptions& options = {});

/// Names under which load_dataset() would find files in `root/data`, sorted.
std::vector<std::string> datasets_under(const std::filesystem::path& root);
/// Names under which find_model() would find files under `root`, sorted.
std::vector<std::string> models_under(const std::filesystem::path& root);

/// The file or folder of a model. A path is taken as it is; a name (`resnet56_jpeg`, with or
/// without
/// ".safetensors") is sought under each root in `models` and in the folders directly in it.
/// MissingInput says what was sought where.
std::filesystem::path find_model(const std::string& name_or_path,
                                 const std::vector<std::string>& data_roots = {});

}  // namespace apprentice::data
