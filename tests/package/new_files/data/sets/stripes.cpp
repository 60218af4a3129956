#include <apprentice/base/unit.h>
#include <apprentice/data/dataset.h>

namespace apprentice::data {
namespace {

/// Dark and light pictures.
ImageSet generate(const std::string& split, int64_t size) {
  ImageSet set;
  set.name = "stripes " + split;
  set.count = size > 0 ? size : 10;
  set.height = set.width = 32;
  set.classes = {"dark", "light"};
  for (int64_t i = 0; i < set.count; ++i) {
    set.labels.push_back(i % 2);
    set.pixels.insert(set.pixels.end(), size_t(set.image_bytes()), i % 2 ? 200 : 50);
  }
  return set;
}

}  // namespace
}  // namespace apprentice::data

APPRENTICE_UNIT(stripes) {
  apprentice::data::datasets().add("stripes", {.what = "dark and light pictures",
                                               .generate = apprentice::data::generate,
                                               .fetch = {},
                                               .how_to_get = ""});
}
