#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <apprentice/base/safetensors.h>
#include <apprentice/core/ops/shape.h>
#include <apprentice/core/state.h>
#include <apprentice/core/tensor.h>

namespace apprentice::test {

/// Golden values of one file. Tensors of four axes lie there as [n, c, h, w] or [out, in, kh, kw]
/// and come out as [n, h, w, c] or [out, kh, kw, in].
class Golden {
 public:
  explicit Golden(const std::string& path) : file_(SafetensorsFile::open(path)) {}

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  Tensor get(const std::string& name) const {
    const Tensor t = raw(name);
    return t.rank() == 4 ? permute(t, {0, 2, 3, 1}) : t;
  }
  /// As the file has it.
  Tensor raw(const std::string& name) const { return read_tensor(file_, file_.get(name)); }
  const SafetensorsFile& file() const { return file_; }

 private:
  SafetensorsFile file_;
};

/// The golden values of single operations, which the project holds itself.
inline const Golden& golden_ops() {
  static const Golden golden(APPRENTICE_TEST_GOLDEN "/ops.safetensors");
  return golden;
}

/// `relative` under the folder that the environment variable names, or else under `fallback` beside
/// the project; nothing, with a line on stderr, where there is no such file.
inline std::optional<std::string> outside_file(const char* variable, const std::string& fallback,
                                               const std::string& relative) {
  const char* set = std::getenv(variable);
  const std::filesystem::path root =
      set ? std::filesystem::path(set) : std::filesystem::path(APPRENTICE_SOURCE_DIR) / fallback;
  const std::filesystem::path path = root / relative;
  if (std::filesystem::exists(path)) return path.string();
  std::fprintf(stderr, "skipped: no %s (set %s)\n", path.c_str(), variable);
  return std::nullopt;
}
/// A golden file that the project does not hold: "resnet20_step.safetensors".
inline std::optional<std::string> golden_file(const std::string& name) {
  return outside_file("APPRENTICE_GOLDEN", "../shared/golden", name);
}
/// A data set or model: "models/cifar10/resnet20.safetensors".
inline std::optional<std::string> data_file(const std::string& relative) {
  return outside_file("APPRENTICE_DATA", "../shared", relative);
}

}  // namespace apprentice::test
