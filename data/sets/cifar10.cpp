#include <apprentice/base/unit.h>
#include <apprentice/data/dataset.h>
#include <apprentice/data/download_internal.h>

namespace apprentice::data {
namespace {

constexpr const char* kUrl = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
constexpr const char* kMd5 = "c32a1d4ab5d03f1284b67883e8d87530";

}  // namespace
}  // namespace apprentice::data

APPRENTICE_UNIT(cifar10) {
  using namespace apprentice::data;
  datasets().add(
      "cifar10",
      {.what = "60,000 photographs of 32x32 pixels, 10 classes (Krizhevsky 2009)",
       .generate = nullptr,
       .fetch =
           [](const std::filesystem::path& to) {
             download_archive({.url = kUrl, .md5 = kMd5}, ".bin", to);
           },
       .how_to_get = std::string("data_batch_1.bin to data_batch_5.bin and test_batch.bin of ") +
                     kUrl + ", or train.tar.gz and test.tar.gz of class folders of JPEGs"});
}
