#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <apprentice/nn/module.h>
#include <apprentice/quant/pack.h>

namespace apprentice::quant {

/// What a model file holds.
enum class FileKind {
  model,           ///< parameters in f32, quantizers as its policy says
  packed,          ///< a network of codes: packed::PackedNetwork runs it
  packed_weights,  ///< codes of the weights alone: load_model() decodes them
};

/// `path` itself, or `path`/model.safetensors if it is a folder (a checkpoint). MissingInput if
/// there is neither.
std::string model_path(const std::string& path);
/// From the metadata. MissingInput or DamagedFile.
FileKind file_kind(const std::string& path);

/// Writes parameters and buffers under torchvision's names, with `arch`, `apprentice.quant` and
/// further metadata, durably. CheckFailed naming the tensor that is not finite: such weights are
/// never saved.
void save_model(const std::string& path, const nn::Module& model, const ModelInfo& info);

struct LoadedModel {
  std::shared_ptr<nn::TensorModule> model;  ///< in eval mode, quantizers attached
  ModelInfo info;
  FileKind kind = FileKind::model;
};
/// Makes the network of that architecture, whose first word is given. `classes` is the number of
/// rows of the file's only weight matrix, the classifier; 0 if it has none or several.
using ModelMaker =
    std::function<std::shared_ptr<nn::TensorModule>(const std::string& arch, int64_t classes)>;

/// Reads a model file, checkpoint folder or file of packed weights. The architecture is `arch` or
/// else the file's own. MissingInput, DamagedFile; ConfigError if neither names one, or if the file
/// is a packed network; DamagedFile naming the tensor that does not fit the architecture, or a step
/// that is no positive number.
LoadedModel load_model(const std::string& path, const ModelMaker& make,
                       const std::string& arch = "");

}  // namespace apprentice::quant
