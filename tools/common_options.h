#pragma once

#include <string>
#include <vector>

#include <CLI/App.hpp>

namespace apprentice::tools {

/// Options that every verb takes.
struct CommonOptions {
  bool json = false;
  int threads = 0;  ///< 0: as many as the machine has, or OMP_NUM_THREADS
  std::string kernel;
  bool require_kernel = false;
  std::vector<std::string> data_roots;

  void add_to(CLI::App& app);
  /// UsageError unless --kernel is a known family, given where it is required.
  void check_kernel() const;
  /// Sets the thread count and the kernel preference of the process.
  void apply() const;
};

}  // namespace apprentice::tools
