#include <cstdlib>

#include <catch2/catch.hpp>

#include <apprentice/data/dataset.h>
#include <apprentice/data/download_internal.h>
#include <apprentice/data/find.h>
#include <apprentice/data/md5_internal.h>

#include "data/make_images.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::test;
using data::download_archive;
using data::md5_of_file;

namespace {

std::string md5(const std::string& text) {
  data::Md5 sum;
  for (const char c : text) sum.update(&c, 1);
  return sum.hex();
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

TEST_CASE("MD5 gives the sums of RFC 1321, appendix A.5") {
  CHECK(md5("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(md5("abc") == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(md5("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
        "d174ab98d277d9f5a5611c2c9f419d9f");
  CHECK(md5("1234567890123456789012345678901234567890"
            "1234567890123456789012345678901234567890") == "57edf4a22be3c955ac49da2e2107b67a");
}

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
  CHECK(throws<DamagedFile>(spoilt, url, sum, wrong) == "");
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
