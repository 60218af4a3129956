#include <apprentice/data/dataset.h>

namespace apprentice {

/// Generated: calls the APPRENTICE_UNIT of every file in sets/.
void load_data_units();

namespace data {
namespace {

/// The units fill both registries, so neither may call for them while it is being made.
Registry<Format>& format_table() {
  static Registry<Format> table("data format");
  return table;
}
Registry<NamedSet>& dataset_table() {
  static Registry<NamedSet> table("data set");
  return table;
}

}  // namespace

Registry<Format>& formats() {
  load_data_units();
  return format_table();
}

Registry<NamedSet>& datasets() {
  load_data_units();
  return dataset_table();
}

OnBadSample on_bad_sample(const std::string& name) {
  if (name == "error") return OnBadSample::error;
  check<ConfigError>(name == "replace", "on-bad-sample: got '{}', expected error or replace", name);
  return OnBadSample::replace;
}

std::vector<std::string> names_of_split(const std::string& split) {
  if (split == "train") return {"train"};
  check<ConfigError>(split == "test", "split: got '{}', expected train or test", split);
  return {"test", "val", "valid", "validation"};
}

}  // namespace data
}  // namespace apprentice
