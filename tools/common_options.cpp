#include <apprentice/tools/common_options.h>

#include <omp.h>

#include <algorithm>

#include <CLI/CLI.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>
#include <apprentice/base/text.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/tools/verb.h>

namespace apprentice {
void load_dense_units();
}

namespace apprentice::tools {
namespace {

std::vector<std::string> families() {
  load_dense_units();
  return kernels::kernel_families();
}

}  // namespace

void CommonOptions::add_to(CLI::App& app) {
  app.add_flag("--json", json, "Print the result as JSON");
  app.add_option("--threads", threads, "Threads to compute with (default: all cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--kernel", kernel, "Kernel family to prefer: " + join(families(), ", "));
  app.add_flag("--require-kernel", require_kernel,
               "Fail where kernels of that family decline, rather than use another");
  app.add_option("--data-root", data_roots,
                 "Folder that holds data/ and models/ (default: $APPRENTICE_DATA, ., ../shared)");
}

void CommonOptions::check_kernel() const {
  check<UsageError>(!require_kernel || !kernel.empty(), "--require-kernel needs --kernel NAME");
  const std::vector<std::string> known = families();
  check<UsageError>(kernel.empty() || std::find(known.begin(), known.end(), kernel) != known.end(),
                    "--kernel '{}' is no family of kernels{}; known: {}", kernel,
                    did_you_mean(kernel, known), join(known, ", "));
}

void CommonOptions::apply() const {
  check_kernel();
  if (threads > 0) omp_set_num_threads(threads);
  kernels::default_preference() = {kernel, require_kernel};
}

void DeviceOption::add_to(CLI::App& app) {
  app.add_option("--device", name, "Where networks run: cpu, cuda or cuda:N")
      ->capture_default_str();
}

Device DeviceOption::get() const {
  Device device;
  try {
    device = Device::parse(name);
  } catch (const ConfigError& error) {
    throw UsageError(fmt::format("--device: {}", error.what()));
  }
  require_device(device);
  return device;
}

}  // namespace apprentice::tools
