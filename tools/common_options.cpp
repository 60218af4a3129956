#include <apprentice/tools/common_options.h>

#include <omp.h>

#include <CLI/CLI.hpp>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {

void CommonOptions::add_to(CLI::App& app) {
  app.add_flag("--json", json, "Print the result as one JSON object");
  app.add_option("--threads", threads, "Threads to compute with (default: all cores)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--kernel", kernel,
                 "Kernel family to prefer: reference, simd, avx2, vnni, onednn");
  app.add_flag("--require-kernel", require_kernel,
               "Fail rather than use a kernel of another family than --kernel");
  app.add_option("--data-root", data_roots,
                 "Folder that holds data/ and models/ (default: $APPRENTICE_DATA, ., ../shared)");
}

void CommonOptions::apply() const {
  check<UsageError>(!require_kernel || !kernel.empty(), "--require-kernel needs --kernel NAME");
  if (threads > 0) omp_set_num_threads(threads);
  kernels::default_preference() = {kernel, require_kernel};
}

}  // namespace apprentice::tools
