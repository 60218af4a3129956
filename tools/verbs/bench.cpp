#include <cstdio>
#include <memory>
#include <regex>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <apprentice/base/files.h>
#include <apprentice/base/unit.h>
#include <apprentice/tools/bench_model.h>
#include <apprentice/tools/benchmark.h>
#include <apprentice/tools/common_options.h>
#include <apprentice/tools/exit_code.h>
#include <apprentice/tools/table.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

using Json = nlohmann::ordered_json;

struct KernelOptions {
  CommonOptions common;
  std::string filter = ".*";
  std::vector<std::string> shapes;
  double seconds = 0.2;
  bool md = false, csv = false, flush = false;
};

std::vector<BenchShape> read_shapes(const std::vector<std::string>& names) {
  std::vector<BenchShape> all;
  const auto add = [&all](const std::string& text, const std::string& name) {
    for (BenchShape& shape : parse_shapes(text, name)) all.push_back(std::move(shape));
  };
  for (const auto& [stem, text] : builtin_shapes())
    if (names.empty()) add(text, stem);
  for (const std::string& name : names) {
    const auto it = builtin_shapes().find(name);
    if (it != builtin_shapes().end()) {
      add(it->second, name);
    } else {
      add(read_file(name), name);
    }
  }
  return all;
}

Json measure(const BenchCase& c, const BenchShape& shape, const KernelOptions& o) {
  Json row{{"kernel", c.kernel}, {"shape", shape.text}};
  if (!c.refusal.empty()) {
    row["refused"] = c.refusal;
    return row;
  }
  c.run();
  const std::string wrong = c.verify();
  row["verified"] = wrong.empty();
  if (!wrong.empty()) {
    row["wrong"] = wrong;
    return row;
  }
  const Timing t = time_runs(c.run, o.seconds, 3, o.flush);
  row["median_us"] = t.median * 1e6;
  row["min_us"] = t.min * 1e6;
  row["max_us"] = t.max * 1e6;
  row["runs"] = t.runs;
  row["gop_s"] = c.operations / t.median * 1e-9;
  row["gb_s"] = c.bytes / t.median * 1e-9;
  return row;
}

Json measure_all(const KernelOptions& o, const std::regex& filter) {
  Json rows = Json::array();
  for (const BenchShape& shape : read_shapes(o.shapes))
    for (const std::string& name : benchmarks().names()) {
      const Benchmark& benchmark = benchmarks().get(name);
      if (benchmark.op != shape.op) continue;
      for (const BenchCase& c : benchmark.cases(shape))
        if (std::regex_search(c.kernel, filter)) rows.push_back(measure(c, shape, o));
    }
  return rows;
}

Table table_of(const Json& rows) {
  Table table({"kernel", "shape", "median us", "min us", "max us", "GOP/s", "GB/s"});
  const auto number = [](const Json& row, const char* key) {
    return row.contains(key) ? fmt::format("{:.1f}", row[key].get<double>()) : std::string("-");
  };
  for (const Json& row : rows) {
    const std::string note = row.contains("refused")
                                 ? " (refused: " + row["refused"].get<std::string>() + ")"
                             : row.contains("wrong") ? " WRONG: " + row["wrong"].get<std::string>()
                                                     : "";
    table.add({row["kernel"].get<std::string>() + note, row["shape"], number(row, "median_us"),
               number(row, "min_us"), number(row, "max_us"), number(row, "gop_s"),
               number(row, "gb_s")});
  }
  return table;
}

std::regex regex_of(const std::string& text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error&) {
    throw UsageError(fmt::format("--filter '{}' is no regular expression", text));
  }
}

int run_kernels(const KernelOptions& o) {
  o.common.apply();
  const Json rows = measure_all(o, regex_of(o.filter));
  check<UsageError>(!rows.empty(), "--filter '{}' matches no kernel with a benchmark", o.filter);
  const Table table = table_of(rows);
  const std::string text = o.common.json ? rows.dump() + "\n"
                           : o.md        ? table.markdown()
                           : o.csv       ? table.csv()
                                         : table.plain();
  std::fputs(text.c_str(), stdout);
  for (const Json& row : rows)
    if (row.contains("wrong")) return kCheckFailed;
  return kOk;
}

std::function<int()> add_kernels(CLI::App& app) {
  auto o = std::make_shared<KernelOptions>();
  app.add_option("--filter", o->filter, "Regular expression over kernel names");
  app.add_option("--shapes", o->shapes, "Shape files, or built-in ones: gemm, resnet20");
  app.add_option("--seconds", o->seconds, "Time spent on each kernel and shape")
      ->check(CLI::PositiveNumber);
  app.add_flag("--md", o->md, "Print Markdown");
  app.add_flag("--csv", o->csv, "Print CSV");
  app.add_flag("--flush", o->flush, "Flush the caches before each run");
  o->common.add_to(app);
  return [o] { return run_kernels(*o); };
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(bench) {
  using namespace apprentice::tools;
  verbs().add(
      "bench",
      {"Time kernels, networks and training steps", [](CLI::App& app) {
         app.require_subcommand(1);
         auto* kernels =
             app.add_subcommand("kernels", "Every kernel of the operations on shape files");
         auto* model = app.add_subcommand("model", "Inference of a model file or architecture");
         auto* step = app.add_subcommand("step", "A training step, with or without a teacher");
         const auto run_kernels = add_kernels(*kernels);
         const auto run_model = add_bench_model(*model);
         const auto run_step = add_bench_step(*step);
         return [=] {
           return kernels->parsed() ? run_kernels() : model->parsed() ? run_model() : run_step();
         };
       }});
}
