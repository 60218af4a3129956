#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include <apprentice/base/unit.h>
#include <apprentice/tools/data_options.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

struct Options {
  CommonOptions common;
  DataOptions data;
};

int run(const Options& o) {
  o.common.apply();
  const data::ImageSet set = o.data.load(o.common);
  std::vector<int64_t> per_class(set.classes.size());
  for (const int64_t label : set.labels) ++per_class[size_t(label)];
  if (o.common.json) {
    const nlohmann::ordered_json report{
        {"name", set.name},         {"split", o.data.split},
        {"images", set.count},      {"height", set.height},
        {"width", set.width},       {"channels", set.channels},
        {"classes", set.classes},   {"per_class", per_class},
        {"damaged", set.bad.count}, {"damaged_names", set.bad.names}};
    std::printf("%s\n", report.dump().c_str());
    return 0;
  }
  std::printf("%s (%s): %lld images of %lld x %lld x %lld, %lld damaged\n", set.name.c_str(),
              o.data.split.c_str(), (long long)set.count, (long long)set.height,
              (long long)set.width, (long long)set.channels, (long long)set.bad.count);
  for (size_t i = 0; i < per_class.size(); ++i)
    std::printf("%4zu %-20s %lld\n", i, set.classes[i].c_str(), (long long)per_class[i]);
  return 0;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(data) {
  using namespace apprentice::tools;
  verbs().add("data", {"Read a data set, and show what is in it", [](CLI::App& app) {
                         auto o = std::make_shared<Options>();
                         o->data.add_to(app, /*positional=*/true);
                         o->common.add_to(app);
                         return [o] { return run(*o); };
                       }});
}
