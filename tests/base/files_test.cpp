#include <csignal>
#include <filesystem>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <support/temp_folder.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;
using test::TempFolder;
using test::throws;
namespace fs = std::filesystem;

namespace {

/// Until its end no file of this process can grow beyond `bytes`: writing then fails as on a full
/// disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("a file is read back as it was written, and replaced as a whole") {
  const TempFolder folder;
  const std::string path = folder / "x", all_bytes("a\0\xff\n", 4);
  write_file_durably(path, all_bytes);
  CHECK(read_file(path) == all_bytes);
  CHECK(file_size(path) == 4);
  write_file_durably(path, "");
  CHECK(read_file(path).empty());
  CHECK(folder.names() == std::vector<std::string>{"x"});
}

TEST_CASE("a failed write leaves the file as it was and nothing beside it") {
  const TempFolder folder;
  const std::string path = folder / "model";
  write_file_durably(path, "before");
  {
    const FileSizeLimit limit(1000);
    const std::string large(5000, 'x');
    CHECK(throws<IoError>([&] { write_file_durably(path, large); }, path, "writing failed",
                          "File too large") == "");
  }
  CHECK(read_file(path) == "before");
  CHECK(folder.names() == std::vector<std::string>{"model"});
}

TEST_CASE("a full device is an IoError that says so") {
  CHECK(throws<IoError>([] { write_file_durably("/dev/full", "x"); }, "/dev/full",
                        "No space left on device") == "");
  CHECK_NOTHROW(write_file_durably("/dev/null", "x"));
}

TEST_CASE("a file that is not there is missing, a folder or pipe in its place is damage") {
  const TempFolder folder;
  CHECK(throws<MissingInput>([&] { read_file(folder / "none"); }, folder / "none") == "");
  write_file_durably(folder / "file", "x");
  CHECK(throws<MissingInput>([&] { read_file(folder / "file/below"); }, "no such file") == "");
  CHECK(throws<DamagedFile>([&] { read_file(folder.path()); }, folder.path(), "a folder") == "");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(throws<DamagedFile>([&] { read_file(folder / "pipe"); }, "no regular file") == "");
  CHECK(throws<DamagedFile>([&] { read_file(folder / "file", 0); }, "1 bytes", "at most 0") == "");
}

TEST_CASE("a file cut off while it is read is damage") {
  const TempFolder folder;
  write_file_durably(folder / "x", "12345678");
  InputFile file(folder / "x");
  REQUIRE(::truncate((folder / "x").c_str(), 3) == 0);
  std::byte out[8];
  CHECK(throws<DamagedFile>([&] { file.read(out); }, "ends 5 bytes early") == "");
}

TEST_CASE("a place that cannot be written is CannotCreate") {
  const TempFolder folder;
  write_file_durably(folder / "file", "x");
  fs::create_directory(folder / "folder");
  const auto write = [&](const std::string& name) { write_file_durably(folder / name, "y"); };
  CHECK(throws<CannotCreate>([&] { write("none/x"); }, "none/x", "No such file") == "");
  CHECK(throws<CannotCreate>([&] { write("file/x"); }, "file/x", "Not a directory") == "");
  CHECK(throws<CannotCreate>([&] { write("folder"); }, "folder", "Is a directory") == "");
  CHECK(throws<CannotCreate>([&] { make_folders(folder / "file"); }, "file") == "");
  CHECK(throws<CannotCreate>([&] { make_folders(folder / "file/x"); }, "file/x") == "");
  CHECK(folder.names() == std::vector<std::string>{"file", "folder"});
}

TEST_CASE("writing through a symbolic link changes the file and keeps the link") {
  const TempFolder folder;
  write_file_durably(folder / "real", "before");
  point_link(folder / "link", "real");
  write_file_durably(folder / "link", "after");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "real") == "after");
}

TEST_CASE("a link is made and moved in one step, and never replaces a folder") {
  const TempFolder folder;
  make_folders(folder / "step-1");
  make_folders(folder / "step-2/inner");
  point_link(folder / "last", "step-1");
  CHECK(fs::read_symlink(folder / "last") == "step-1");
  point_link(folder / "last", "step-2");
  CHECK(fs::read_symlink(folder / "last") == "step-2");
  CHECK(throws<CannotCreate>([&] { point_link(folder / "step-1", "step-2"); }, "step-1") == "");
  CHECK(folder.names() == std::vector<std::string>{"last", "step-1", "step-2"});
}

TEST_CASE("a durable folder appears only when it is published") {
  const TempFolder folder;
  const std::string path = folder / "runs/step-7";
  DurableFolder step(path);
  write_file_durably(step.path() + "/model", "weights");
  make_folders(step.path() + "/inner");
  write_file_durably(step.path() + "/inner/state", "s");
  CHECK_FALSE(fs::exists(path));
  step.publish();
  CHECK(read_file(path + "/model") == "weights");
  CHECK(read_file(path + "/inner/state") == "s");
  CHECK_FALSE(fs::exists(path + ".tmp"));
}

TEST_CASE("a durable folder that is not published leaves nothing") {
  const TempFolder folder;
  CHECK_THROWS_AS(
      [&] {
        DurableFolder step(folder / "step-8");
        write_file_durably(step.path() + "/model", "weights");
        throw IoError("disk full");
      }(),
      IoError);
  CHECK(folder.names().empty());
}

TEST_CASE("a durable folder replaces what a killed run left aside, but no finished folder") {
  const TempFolder folder;
  make_folders(folder / "step-9.tmp");
  write_file_durably(folder / "step-9.tmp/old", "half");
  {
    DurableFolder step(folder / "step-9");
    CHECK(fs::is_empty(step.path()));
    step.publish();
  }
  CHECK(folder.names() == std::vector<std::string>{"step-9"});
  CHECK(throws<CannotCreate>([&] { DurableFolder again(folder / "step-9"); }, "step-9",
                             "exists already") == "");
}
