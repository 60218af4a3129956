#include <catch2/catch.hpp>

#include <apprentice/data/find.h>

#include "data/make_images.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::test;
using data::FindOptions;
using data::ImageSet;
using data::load_dataset;
using data::OnBadSample;

namespace {

const FindOptions kStrict{.read = {.on_bad_sample = OnBadSample::error}};

Bytes image_of(const ImageSet& set, int64_t i) {
  return {set.image(i).begin(), set.image(i).end()};
}

/// Nine pictures, of which 2, 4 and 5 are cut short, garbage, and of another size.
Members damaged_members() {
  Members members = class_members(9);
  members[2].second.resize(members[2].second.size() / 2);
  members[4].second.assign(100, 'x');
  members[5].second = random_jpeg(5, 8, 8);
  return members;
}

}  // namespace

TEST_CASE("an archive of class folders keeps its order and numbers the classes by name") {
  const TempFolder folder;
  const std::string path = folder / GENERATE("s.tar", "s.tar.gz", "s.tar.zst");
  Members members = class_members(8);
  members.insert(members.begin() + 1, {"README.md", Bytes{'a'}});
  members.insert(members.begin() + 2, {"owl/._0000.jpg", Bytes{'b'}});
  write_tar(path, members);
  const ImageSet set = load_dataset(path, "test", kStrict);
  CHECK(set.name == path);
  CHECK(set.count == 8);
  CHECK((set.height == 12 && set.width == 16 && set.channels == 3));
  CHECK(set.classes == std::vector<std::string>{"ant", "fox", "owl"});
  CHECK(set.labels == std::vector<int64_t>{2, 0, 1, 2, 0, 1, 2, 0});
  CHECK(set.bad.count == 0);
  REQUIRE(set.pixels.size() == size_t(8 * 12 * 16 * 3));
  for (int64_t i = 0; i < 8; ++i) CHECK(image_of(set, i) == decoded(random_jpeg(uint64_t(i))));
}

TEST_CASE("a limit takes the first pictures and still knows all classes") {
  const TempFolder folder;
  write_tar(folder / "s.tar", class_members(9));
  const ImageSet set = load_dataset(folder / "s.tar", "test", {.read = {.limit = 2}});
  CHECK(set.count == 2);
  CHECK(set.classes == std::vector<std::string>{"ant", "fox", "owl"});
  CHECK(set.labels == std::vector<int64_t>{2, 0});
}

TEST_CASE("an unpacked folder reads as its archive, but in the order of the names") {
  const TempFolder folder;
  for (const auto& [name, bytes] : class_members(7)) write_bytes(folder / "s/train/" + name, bytes);
  for (const auto& [name, bytes] : class_members(3)) write_bytes(folder / "s/val/" + name, bytes);
  const ImageSet set = load_dataset(folder / "s", "train", kStrict);
  CHECK(set.classes == std::vector<std::string>{"ant", "fox", "owl"});
  CHECK(set.labels == std::vector<int64_t>{0, 0, 1, 1, 2, 2, 2});
  CHECK(image_of(set, 1) == decoded(random_jpeg(4)));
  CHECK(load_dataset(folder / "s", "test", kStrict).count == 3);
  CHECK(load_dataset(folder / "s/val", "train", kStrict).count == 3);
}

TEST_CASE("damaged pictures are replaced by good ones, counted and named, always alike") {
  const TempFolder folder;
  write_tar(folder / "s.tar", damaged_members());
  const ImageSet set = load_dataset(folder / "s.tar", "train");
  CHECK(set.bad.count == 3);
  REQUIRE(set.bad.names.size() == 3);
  CHECK_THAT(set.bad.names[0], Catch::StartsWith("fox/0000.jpg: Premature end"));
  CHECK_THAT(set.bad.names[1], Catch::StartsWith("ant/0001.jpg: Not a JPEG file"));
  CHECK(set.bad.names[2] == "fox/0001.jpg: 8x8 pixels, expected 16x12");
  const std::vector<int64_t> good = {0, 1, 3, 6, 7, 8};
  for (int64_t i = 0; i < 9; ++i) {
    const bool kept = std::count(good.begin(), good.end(), i) == 1;
    const bool right = std::any_of(good.begin(), good.end(), [&](int64_t from) {
      return (!kept || from == i) && set.labels[size_t(i)] == (from + 2) % 3 &&
             image_of(set, i) == decoded(random_jpeg(uint64_t(from)));
    });
    CAPTURE(i);
    CHECK(right);
  }
  CHECK(load_dataset(folder / "s.tar", "train").pixels == set.pixels);
}

TEST_CASE("with --on-bad-sample=error the first damaged picture is an error that names it") {
  const TempFolder folder;
  write_tar(folder / "s.tar", damaged_members());
  const auto load = [&] { load_dataset(folder / "s.tar", "train", kStrict); };
  CHECK(throws<DamagedFile>(load, folder / "s.tar", "fox/0000.jpg", "Premature end") == "");
  CHECK(data::on_bad_sample("error") == OnBadSample::error);
  CHECK(data::on_bad_sample("replace") == OnBadSample::replace);
  CHECK(throws<ConfigError>([] { data::on_bad_sample("skip"); }, "skip", "replace") == "");
}

TEST_CASE("a set of which most pictures are damaged or of other sizes is an error") {
  const TempFolder folder;
  Members members = class_members(6);
  for (size_t i = 0; i < 6; ++i) members[i].second = random_jpeg(i, 8 + int(i / 2), 8);
  write_tar(folder / "mixed.tar", members);
  const auto mixed = [&] { load_dataset(folder / "mixed.tar", "train"); };
  CHECK(throws<DamagedFile>(mixed, "4 of 6", "8x8", "fox/0000.jpg: 9x8 pixels") == "");
  for (auto& [name, bytes] : members) bytes.clear();
  write_tar(folder / "empty.tar", members);
  const auto empty = [&] { load_dataset(folder / "empty.tar", "train"); };
  CHECK(throws<DamagedFile>(empty, "no picture can be decoded", "owl/0000.jpg") == "");
}

TEST_CASE("an archive that is cut within the header of a member is a damaged file") {
  const TempFolder folder;
  const std::string path = folder / "s.tar";
  Members members = class_members(3);
  members.insert(members.begin(), {"owl/notes.txt", Bytes{'a'}});
  write_tar(path, members);
  Bytes bytes = read_bytes(path);
  bytes.resize(512 + 512 + 100);  // header and content of the first, a part of the second's header
  write_bytes(path, bytes);
  CHECK(throws<DamagedFile>([&] { load_dataset(path, "train"); }, path, "after 1 members") == "");
}

TEST_CASE("an archive that is cut, no archive, or without pictures is a damaged file") {
  const TempFolder folder;
  const std::string path = folder / GENERATE("s.tar", "s.tar.gz", "s.tar.zst");
  const auto load = [&] { load_dataset(path, "train"); };
  write_tar(path, class_members(9));
  Bytes bytes = read_bytes(path);
  bytes.resize(bytes.size() / 2);
  write_bytes(path, bytes);
  CHECK(throws<DamagedFile>(load, path) == "");
  write_bytes(path, Bytes(5000, 'x'));
  CHECK(throws<DamagedFile>(load, path) == "");
  write_tar(path, {{"owl/notes.txt", Bytes{'a'}}});
  CHECK(throws<DamagedFile>(load, path, "<class>/<name>.jpg") == "");
  write_tar(path, {{"0000.jpg", random_jpeg(1)}});
  CHECK(throws<DamagedFile>(load, "0000.jpg", "no folder") == "");
}
