#pragma once

#include <map>
#include <string>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Named tensors and what a file says about them.
struct State {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a safetensors file. Every tensor of four axes lies there as [out, in, kh, kw] (torchvision)
/// and here as [out, kh, kw, in]; bf16 and f16 are widened to f32, other types are kept.
/// MissingInput, DamagedFile or IoError naming the file; DtypeError naming a tensor of a type that
/// Tensor has not.
State load_state(const std::string& path);
/// The inverse: writes `path` as a whole or not at all. CannotCreate or IoError.
void save_state(const std::string& path, const State& state);

}  // namespace apprentice
