#include <apprentice/tools/run_verb.h>

#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <apprentice/dense/plans/plan_cache.h>
#include <apprentice/distill/run.h>
#include <apprentice/models/registry.h>
#include <apprentice/tools/common_options.h>
#include <apprentice/tools/progress.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

using Json = nlohmann::ordered_json;

struct RunOptions {
  CommonOptions common;
  DeviceOption device;
  std::string recipe, output, store_logits;
  std::vector<std::string> set;
  bool resume = false, fall_back = false, no_graph = false, deterministic = false, verbose = false;
};

std::string default_output(const std::string& recipe) {
  char stamp[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", std::localtime(&now));
  return fmt::format("runs/{}-{}", stamp, std::filesystem::path(recipe).stem().string());
}

/// A wrong --set is a wrong call, not a bad recipe.
distill::Recipe read_recipe(const RunOptions& o,
                            const std::function<void(distill::Recipe&)>& adjust) {
  distill::Recipe recipe = distill::load_recipe(o.recipe);
  for (const std::string& assignment : o.set) {
    try {
      distill::apply_set(recipe, assignment);
    } catch (const ConfigError& error) {
      throw UsageError(error.what());
    }
  }
  adjust(recipe);
  distill::check_recipe(recipe);
  return recipe;
}

/// Where a device's memory goes, a line an item.
void print_memory(const distill::Event& event, ProgressPrinter& printer) {
  printer.note("memory of the device, MB:");
  for (const auto& [key, value] : event.fields) {
    const auto* bytes = std::get_if<int64_t>(&value);
    const auto* text = std::get_if<std::string>(&value);
    if (bytes) printer.note(fmt::format("  {:<24}{:>12.3f}", key, double(*bytes) / 1e6));
    if (text) printer.note(fmt::format("  {:<24}{}", key, *text));
  }
}

distill::Listener listen(ProgressPrinter& printer, bool verbose) {
  distill::Listener listener;
  listener.on_progress = [&printer](const distill::Progress& p) {
    const bool training = std::string_view(p.phase) == "train";
    const std::string what = fmt::format("{} epoch {}/{} {}", p.phase, p.epoch + 1, p.epochs,
                                         training ? "step" : "image");
    const std::string loss = std::isnan(p.loss) ? "" : fmt::format("loss {:.4f} ", p.loss);
    printer.update({what, p.step, p.steps, p.images_per_s, p.seconds_left,
                    training ? fmt::format("{}lr {:.3g}", loss, p.lr) : ""});
  };
  listener.on_event = [&printer, verbose](const distill::Event& event) {
    const bool in_log_alone =
        event.kind == "train" || event.kind == "quant" || event.kind == "memory";
    if (in_log_alone && !verbose) return;
    if (event.kind == "memory") return print_memory(event, printer);
    std::string line = event.kind;
    for (const auto& [key, value] : event.fields)
      line +=
          std::visit([&key = key](const auto& v) { return fmt::format(" {}={}", key, v); }, value);
    printer.note(line);
  };
  return listener;
}

void print_result(const distill::TrainResult& result, const std::string& output, bool json) {
  if (json) {
    const Json report{{"top1", result.test.top1},
                      {"loss", result.test.loss},
                      {"best_top1", result.best_top1},
                      {"images", result.test.images},
                      {"steps", result.steps},
                      {"recorded_steps", result.recorded_steps},
                      {"train_images_per_s", result.train_images_per_s},
                      {"output", output},
                      {"checkpoint", result.checkpoint}};
    std::printf("%s\n", report.dump().c_str());
    return;
  }
  std::printf("top-1 %.2f %% of %lld images (best epoch %.2f %%), loss %.4f\n", result.test.top1,
              static_cast<long long>(result.test.images), result.best_top1, result.test.loss);
  std::printf("checkpoint %s\n", result.checkpoint.c_str());
}

int run(const RunOptions& o, const std::function<void(distill::Recipe&)>& adjust) {
  o.common.apply();
  const Device device = o.device.get();
  if (o.deterministic) kernels::dense::plan_choice() = kernels::dense::PlanChoice::heuristic;
  const distill::Recipe recipe = read_recipe(o, adjust);
  ProgressPrinter printer;
  distill::RunOptions options;
  options.data_roots = o.common.data_roots;
  options.make_model = [](const std::string& arch, int64_t classes, uint64_t seed) {
    return make_model(arch, {.classes = classes, .seed = seed});
  };
  options.trainer.device = device;
  if (!o.store_logits.empty()) {
    options.trainer.listener = listen(printer, o.verbose);
    distill::store_logits(recipe, options, o.store_logits);
    printer.finish();
    if (o.common.json) {
      std::printf("%s\n", Json{{"logits", o.store_logits}}.dump().c_str());
    } else {
      std::printf("teacher logits %s\n", o.store_logits.c_str());
    }
    return 0;
  }
  const distill::StopOnSignal signals;  // polled by the trainer, so not before
  const std::string output = o.output.empty() ? default_output(o.recipe) : o.output;
  options.trainer = {.output = output,
                     .resume = o.resume,
                     .fall_back = o.fall_back,
                     .listener = listen(printer, o.verbose),
                     .stop_requested = distill::StopOnSignal::requested,
                     .device = device,
                     .graph = !o.no_graph};
  const distill::TrainResult result = distill::run_recipe(recipe, options);
  printer.finish();
  print_result(result, output, o.common.json);
  return 0;
}

}  // namespace

std::function<int()> add_recipe_run(CLI::App& app,
                                    const std::function<void(CLI::App&)>& more_options,
                                    const std::function<void(distill::Recipe&)>& adjust) {
  auto o = std::make_shared<RunOptions>();
  app.add_option("recipe", o->recipe, "Recipe (TOML)")->required();
  app.add_option("--output", o->output, "Run folder (default: runs/<time>-<recipe>)");
  app.add_option("--set", o->set, "Override one key: table.key=value (repeatable)")
      ->type_name("KEY=VALUE");
  auto* resume = app.add_flag("--resume", o->resume, "Go on from the last checkpoint of --output");
  resume->needs("--output");
  app.add_flag("--fall-back", o->fall_back,
               "Resume from an older checkpoint if the last is damaged")
      ->needs(resume);
  app.add_option("--store-logits", o->store_logits,
                 "Only run the teacher and store its logits here, for teacher.logits");
  o->device.add_to(app);
  app.add_flag("--no-graph", o->no_graph,
               "Give a device each step's work anew, not as one recorded graph");
  app.add_flag(
      "--deterministic", o->deterministic,
      "The same bits in every repeat on a device: its libraries' algorithms are not chosen "
      "by timing them");
  app.add_flag("--verbose", o->verbose,
               "Print what else stands in log.jsonl alone: where a device's memory goes, lines of "
               "the training, of its quantizers");
  o->common.add_to(app);
  if (more_options) more_options(app);
  return [o, adjust] { return run(*o, adjust); };
}

}  // namespace apprentice::tools
