#pragma once

#include <functional>
#include <string>

#include <CLI/App.hpp>

#include <apprentice/base/registry.h>

namespace apprentice::tools {

/// One verb of the program: `add_options` declares its options and returns what runs it.
/// The result is the exit code (0, or 1 if a check failed); errors are thrown.
struct Verb {
  std::string help;
  std::function<std::function<int()>(CLI::App&)> add_options;
};
Registry<Verb>& verbs();

/// A mistake in how the program was called: exit code 2.
class UsageError : public Error {
  using Error::Error;
};

}  // namespace apprentice::tools
