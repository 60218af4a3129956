#pragma once

#include <string>

#include <CLI/App.hpp>

#include <apprentice/data/find.h>
#include <apprentice/tools/common_options.h>

namespace apprentice::tools {

/// Options of verbs that read a data set.
struct DataOptions {
  std::string data, split = "test", on_bad_sample = "replace";
  int64_t images = 0;  ///< 0: all

  /// `positional`: the data set is an argument, not --data.
  void add_to(CLI::App& app, bool positional = false);
  data::ImageSet load(const CommonOptions& common) const;
};

}  // namespace apprentice::tools
