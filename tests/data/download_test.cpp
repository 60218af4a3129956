#include <cstdlib>

#include <catch2/catch.hpp>

#include <apprentice/data/dataset.h>
#include <apprentice/data/download_internal.h>
#include <apprentice/data/find.h>

#include "data/make_images.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::test;
using data::download_archive;

namespace {

/// By coreutils' md5sum.
std::string md5_of_file(const std::string& path) {
  const TempFolder folder;
  const std::string out = folder / "sum";
  REQUIRE(std::system(("md5sum '" + path + "' > '" + out + "'").c_str()) == 0);
  const Bytes bytes = read_bytes(out);
  return std::string(bytes.begin(), bytes.end()).substr(0, 32);
}

/// PATH without any program for one test.
class NoPrograms {
 public:
  NoPrograms() : before_(std::getenv("PATH")) { ::setenv("PATH", "/nowhere", 1); }
  ~NoPrograms() { ::setenv("PATH", before_.c_str(), 1); }

 private:
  std::string before_;
};

}  // namespace

TEST_CASE("a download is checked and unpacked flat, or leaves nothing behind") {
  if (std::system("curl --version > /dev/null 2>&1") != 0) {
    fmt::print("skipped: no curl\n");
    return;
  }
  const TempFolder folder;
  write_tar(folder / "a.tar.gz",
            {{"inner/one.bin", {1, 2}}, {"inner/two.bin", {3}}, {"r.txt", {4}}});
  const std::string url = "file://" + (folder / "a.tar.gz"), sum = md5_of_file(folder / "a.tar.gz");
  const TempFolder to;
  const std::string wrong(32, '0');
  const auto spoilt = [&] { download_archive({url, wrong}, ".bin", to.path()); };
  CHECK(throws<DamagedFile>(spoilt, url, wrong) == "");
  CHECK(to.names().empty());
  const auto nowhere = [&] { download_archive({url + "x", sum}, ".bin", to.path()); };
  CHECK(throws<IoError>(nowhere, url + "x", "curl: (37)") == "");
  CHECK(to.names().empty());
  download_archive({url, sum}, ".bin", to / "set");
  CHECK(TempFolder().names().empty());
  CHECK(read_bytes(to / "set/one.bin") == Bytes{1, 2});
  CHECK(read_bytes(to / "set/two.bin") == Bytes{3});
  CHECK(!std::filesystem::exists(to / "set/r.txt"));
}

TEST_CASE("without curl, a missing data set is an error that says so and what to put where") {
  const TempFolder root;
  const NoPrograms none;
  const data::FindOptions options{.data_roots = {root.path()}};
  const auto fetch = [&] { download_archive({"https://x", ""}, ".bin", root.path()); };
  CHECK(throws<IoError>(fetch, "curl is not installed") == "");
  data::datasets().add("set_to_fetch", {.what = "a test",
                                        .generate = nullptr,
                                        .fetch =
                                            [](const auto& to) {
                                              download_archive({"https://x", ""}, "", to);
                                            },
                                        .how_to_get = "some files"});
  std::string said;
  data::FindOptions told = options;
  told.note = [&](const std::string& text) { said = text; };
  const auto load = [&] { data::load_dataset("set_to_fetch", "train", told); };
  CHECK(throws<MissingInput>(load, "curl is not installed",
                             "Put into " + (root / "data/set_to_fetch") + ": some files") == "");
  CHECK(said == "downloading set_to_fetch to " + (root / "data/set_to_fetch"));
}
