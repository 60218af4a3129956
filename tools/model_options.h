#pragma once

#include <memory>
#include <string>

#include <CLI/App.hpp>

#include <apprentice/quant/model_file.h>
#include <apprentice/tools/common_options.h>

namespace apprentice::tools {

/// Options of verbs that read a model: a file, a checkpoint folder, or a name under models/.
struct ModelArgument {
  std::string model, arch;

  void add_to(CLI::App& app);
  /// The file that the argument means.
  std::string path(const CommonOptions& common) const;
  quant::LoadedModel load(const CommonOptions& common) const;
};

}  // namespace apprentice::tools
