#include <algorithm>
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
#include <apprentice/tools/roofline.h>
#include <apprentice/tools/table.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

using Json = nlohmann::ordered_json;

struct KernelOptions {
  CommonOptions common;
  DeviceOption device_option;
  Device device;
  std::string filter = ".*";
  std::vector<std::string> shapes;
  double seconds = 0.2;
  bool md = false, csv = false, flush = false, no_peers = false, reference = false;
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

/// One row: what was found out about a case before it is timed.
Json check_case(const BenchCase& c, const BenchShape& shape) {
  Json row{{"kernel", c.kernel}, {"shape", shape.text}, {"peer", c.peer}};
  if (!c.refusal.empty()) {
    row["refused"] = c.refusal;
    return row;
  }
  c.run();
  if (!c.verify) return row;
  const std::string wrong = c.verify();
  row["verified"] = wrong.empty();
  if (!wrong.empty()) row["wrong"] = wrong;
  return row;
}

/// Is a case worth timing? A wrong kernel of ours is not; a peer that rounds is.
bool is_timed(const Json& row) {
  return !row.contains("refused") && (row["peer"] || row.value("verified", true));
}

/// The roofline is the CPU's.
void add_timing(const BenchCase& c, const Timing& t, bool on_cpu, Json& row) {
  row["median_us"] = t.median * 1e6;
  row["min_us"] = t.min * 1e6;
  row["max_us"] = t.max * 1e6;
  row["runs"] = t.runs;
  row["gop_s"] = c.operations / t.median * 1e-9;
  row["gb_s"] = c.bytes / t.median * 1e-9;
  const double share = on_cpu ? roofline_share(c, t.median) : 0;
  if (share > 0) row["roofline_percent"] = 100 * share;
}

/// Of our rows: how many times faster than the fastest peer, f32 and 8-bit ones included.
void add_ratios(std::vector<Json>& rows) {
  double best = 0;
  for (const Json& row : rows) {
    if (!row["peer"] || !row.contains("median_us")) continue;
    const double time = row["median_us"];
    if (best == 0 || time < best) best = time;
  }
  if (best == 0) return;
  for (Json& row : rows) {
    if (row.contains("median_us")) row["peer_ratio"] = best / row["median_us"].get<double>();
  }
}

/// In turn; on a device, which nothing else disturbs, one after the other, as the mean of launches
/// that follow one another without a wait.
std::vector<Timing> time_all(const std::vector<std::function<void()>>& runs,
                             const KernelOptions& o) {
  if (o.device.is_cpu()) return time_in_turn(runs, o.seconds, o.flush);
  constexpr int kLaunches = 10;
  std::vector<Timing> all;
  for (const auto& run : runs) {
    const auto launches = [&run] {
      for (int i = 0; i < kLaunches; ++i) run();
    };
    Timing t = time_on_device(launches, o.device, o.seconds, 1);
    for (double* seconds : {&t.median, &t.min, &t.max}) *seconds /= kLaunches;
    all.push_back(t);
  }
  return all;
}

/// Rows of the cases of one shape.
std::vector<Json> measure_shape(const BenchShape& shape, const std::vector<BenchCase>& cases,
                                const KernelOptions& o) {
  std::vector<Json> rows;
  std::vector<std::function<void()>> runs;
  for (const BenchCase& c : cases) {
    rows.push_back(check_case(c, shape));
    if (is_timed(rows.back())) runs.push_back(c.run);
  }
  const std::vector<Timing> times = time_all(runs, o);
  auto time = times.begin();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (is_timed(rows[i])) add_timing(cases[i], *time++, o.device.is_cpu(), rows[i]);
  }
  add_ratios(rows);
  return rows;
}

/// Is a case to be timed, its kernel being named by the filter or, `beside` one that is, a peer's?
bool is_wanted(const BenchCase& c, const KernelOptions& o, const std::regex& filter, bool beside) {
  if (c.kernel.ends_with("_reference") && !o.reference) return false;
  return std::regex_search(c.kernel, filter) || (beside && c.peer && !o.no_peers);
}

/// The cases of a benchmark on next to no data: which kernels there are does not depend on it.
std::vector<BenchCase> smallest_cases(const Benchmark& benchmark, BenchShape shape, Device device) {
  constexpr int64_t kSmall = 8;  // no window is larger
  for (auto& [name, size] : shape.sizes) size = std::min(size, kSmall);
  return benchmark.cases(shape, device);
}

/// The cases of a shape that the filter names, and the peers beside them. Data are made for
/// benchmarks alone of which one is wanted.
std::vector<BenchCase> wanted_cases(const BenchShape& shape, const KernelOptions& o,
                                    const std::regex& filter) {
  std::vector<std::pair<const Benchmark*, std::vector<BenchCase>>> all;
  for (const std::string& name : benchmarks().names()) {
    const Benchmark& benchmark = benchmarks().get(name);
    if (benchmark.op == shape.op)
      all.emplace_back(&benchmark, smallest_cases(benchmark, shape, o.device));
  }
  const auto any = [&](const std::vector<BenchCase>& cases, bool beside) {
    return std::any_of(cases.begin(), cases.end(),
                       [&](const BenchCase& c) { return is_wanted(c, o, filter, beside); });
  };
  const bool ours =
      std::any_of(all.begin(), all.end(), [&](const auto& one) { return any(one.second, false); });
  std::vector<BenchCase> wanted;
  for (const auto& [benchmark, cases] : all) {
    if (!any(cases, ours)) continue;
    for (BenchCase& c : benchmark->cases(shape, o.device))
      if (is_wanted(c, o, filter, ours)) wanted.push_back(std::move(c));
  }
  return wanted;
}

Json measure_all(const KernelOptions& o, const std::regex& filter) {
  Json rows = Json::array();
  for (const BenchShape& shape : read_shapes(o.shapes)) {
    for (Json& row : measure_shape(shape, wanted_cases(shape, o, filter), o)) {
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

/// What stands behind a kernel's name.
std::string note(const Json& row) {
  if (row.contains("refused")) return " (refused: " + row["refused"].get<std::string>() + ")";
  if (!row.contains("wrong")) return "";
  return row["peer"] ? " (not exact)" : " (WRONG: " + row["wrong"].get<std::string>() + ")";
}

Table table_of(const Json& rows) {
  Table table({"kernel", "shape", "median us", "min us", "GOP/s", "GB/s", "roofline %",
               "times the best peer"});
  const auto number = [](const Json& row, const char* key, const char* format = "{:.1f}") {
    return row.contains(key) ? fmt::format(fmt::runtime(format), row[key].get<double>())
                             : std::string("-");
  };
  for (const Json& row : rows) {
    if (row["peer"] && row.contains("refused")) continue;
    table.add({row["kernel"].get<std::string>() + note(row), row["shape"], number(row, "median_us"),
               number(row, "min_us"), number(row, "gop_s"), number(row, "gb_s"),
               number(row, "roofline_percent"), number(row, "peer_ratio", "{:.2f}")});
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

int run_kernels(KernelOptions& o) {
  o.common.apply();
  o.device = o.device_option.get();
  check<UsageError>(o.device.is_cpu() || !o.flush, "--flush is for the caches of the CPU");
  const Json rows = measure_all(o, regex_of(o.filter));
  check<UsageError>(!rows.empty(), "--filter '{}' matches no kernel with a benchmark", o.filter);
  const Table table = table_of(rows);
  const std::string text = o.common.json ? rows.dump() + "\n"
                           : o.md        ? table.markdown()
                           : o.csv       ? table.csv()
                                         : table.plain();
  std::fputs(text.c_str(), stdout);
  for (const Json& row : rows)
    if (row.contains("wrong") && !row["peer"]) return kCheckFailed;
  return kOk;
}

std::function<int()> add_kernels(CLI::App& app) {
  auto o = std::make_shared<KernelOptions>();
  app.add_option("--filter", o->filter, "Regular expression over kernel names");
  std::string built_in;
  for (const auto& [stem, text] : builtin_shapes())
    built_in += (built_in.empty() ? "" : ", ") + stem;
  app.add_option("--shapes", o->shapes, "Shape files, or built-in ones: " + built_in);
  app.add_option("--seconds", o->seconds, "Time spent on each kernel and shape")
      ->check(CLI::PositiveNumber);
  app.add_flag("--md", o->md, "Print Markdown");
  app.add_flag("--csv", o->csv, "Print CSV");
  app.add_flag("--flush", o->flush, "Flush the caches before each run");
  app.add_flag("--no-peers", o->no_peers, "Leave out the libraries that are shown beside ours");
  app.add_flag("--reference", o->reference, "Time the reference kernels too (slow)");
  o->common.add_to(app);
  o->device_option.add_to(app);
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
