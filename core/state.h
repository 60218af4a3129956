#pragma once

#include <map>
#include <string>

#include <apprentice/core/tensor.h>

namespace apprentice {

class SafetensorsFile;
struct TensorInfo;

/// A copy of one tensor of `file` as it lies there, except that bf16 and f16 are widened to f32.
/// DamagedFile naming file and tensor if Tensor has no such type.
Tensor read_tensor(const SafetensorsFile& file, const TensorInfo& info);

/// Named tensors and what a file says about them.
struct State {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a safetensors file. Every tensor of four axes lies there as [out, in, kh, kw]
/// (torchvision) and here as [out, kh, kw, in]; bf16 and f16 are widened to f32, other types are
/// kept. MissingInput, DamagedFile or IoError naming the file.
State load_state(const std::string& path);
/// The inverse: writes `path` as a whole or not at all. CannotCreate or IoError.
void save_state(const std::string& path, const State& state);

}  // namespace apprentice
