#include <apprentice/tools/model_options.h>

#include <CLI/CLI.hpp>

#include <apprentice/data/find.h>
#include <apprentice/models/registry.h>

namespace apprentice::tools {

void ModelArgument::add_to(CLI::App& app) {
  app.add_option("model", model, "Model file, checkpoint folder, or name under models/")
      ->required();
  app.add_option("--arch", arch, "Architecture (default: as the file says)");
}

std::string ModelArgument::path(const CommonOptions& common) const {
  return quant::model_path(data::find_model(model, common.data_roots).string());
}

quant::LoadedModel ModelArgument::load(const CommonOptions& common) const {
  return quant::load_model(
      path(common),
      [](const std::string& name, int64_t classes) {
        return make_model(name, {.classes = classes});
      },
      arch);
}

}  // namespace apprentice::tools
