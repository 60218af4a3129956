#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <apprentice/base/unit.h>
#include <apprentice/models/registry.h>
#include <apprentice/quant/report.h>
#include <apprentice/tools/model_options.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

struct Options {
  CommonOptions common;
  ModelArgument model;
  std::string output;
  int64_t size = 0;  ///< 0: as the architecture says
};

int run(const Options& o) {
  o.common.apply();
  const quant::LoadedModel loaded = o.model.load(o.common);
  check<ConfigError>(loaded.info.policy.quantizes(),
                     "{}: the model is not quantized, so there is nothing to pack", o.model.model);
  const int64_t side = o.size > 0 ? o.size : architecture(loaded.info.arch).side;
  quant::pack(*loaded.model, loaded.info, o.output, {.height = side, .width = side});
  const quant::SizeReport size = quant::size_report(o.output);
  if (o.common.json) {
    const nlohmann::ordered_json report{{"output", o.output},
                                        {"policy", quant::summary(loaded.info.policy)},
                                        {"file_bytes", size.file_bytes},
                                        {"data_bytes", size.data_bytes},
                                        {"f32_bytes", size.f32_bytes},
                                        {"compression", size.compression}};
    std::printf("%s\n", report.dump().c_str());
    return 0;
  }
  std::printf("%s: %s, %lld bytes (f32: %lld, %.1fx)\n", o.output.c_str(),
              quant::summary(loaded.info.policy).c_str(), (long long)size.file_bytes,
              (long long)size.f32_bytes, size.compression);
  return 0;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(pack) {
  using namespace apprentice::tools;
  verbs().add("pack", {"Write the packed form of a quantized model", [](CLI::App& app) {
                         auto o = std::make_shared<Options>();
                         o->model.add_to(app);
                         app.add_option("output", o->output, "Packed file to write")->required();
                         app.add_option("--size", o->size,
                                        "Pixels a side of its images (default: those that the "
                                        "architecture is meant for)")
                             ->check(CLI::PositiveNumber);
                         o->common.add_to(app);
                         return [o] { return run(*o); };
                       }});
}
