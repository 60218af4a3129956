#pragma once

#include <string>
#include <vector>

#include <CLI/App.hpp>

#include <apprentice/base/device.h>

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

/// --device, of the verbs that compute on one. A run is the same on every device, so no recipe
/// names it.
struct DeviceOption {
  std::string name = "cpu";

  void add_to(CLI::App& app);
  /// The device, after CommonOptions::apply(). UsageError for a text that names none, DeviceError
  /// saying why if it is not there.
  Device get() const;
};

}  // namespace apprentice::tools
