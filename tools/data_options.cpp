#include <apprentice/tools/data_options.h>

#include <cstdio>

#include <CLI/CLI.hpp>

namespace apprentice::tools {

void DataOptions::add_to(CLI::App& app, bool positional) {
  app.add_option(positional ? "data" : "--data", data, "Name or path of the data set")->required();
  app.add_option("--split", split, "train or test")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  app.add_option("--images", images, "Only the first so many images (0: all)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--on-bad-sample", on_bad_sample, "A damaged image is an error, or replaced")
      ->check(CLI::IsMember({"error", "replace"}))
      ->capture_default_str();
}

data::ImageSet DataOptions::load(const CommonOptions& common) const {
  data::FindOptions options;
  options.data_roots = common.data_roots;
  options.read = {data::on_bad_sample(on_bad_sample), images};
  options.note = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  data::ImageSet set = data::load_dataset(data, split, options);
  if (set.bad.count > 0) {
    std::fprintf(stderr, "%s: %lld damaged images replaced\n", set.name.c_str(),
                 static_cast<long long>(set.bad.count));
    for (const std::string& name : set.bad.names) std::fprintf(stderr, "  %s\n", name.c_str());
  }
  return set;
}

}  // namespace apprentice::tools
