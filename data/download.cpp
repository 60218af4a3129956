#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/data/archive_internal.h>
#include <apprentice/data/download_internal.h>

namespace apprentice::data {
namespace {

namespace fs = std::filesystem;

/// A folder for unfinished files inside `to`, so that a rename moves them; gone at the end.
class Workshop {
 public:
  explicit Workshop(const fs::path& to) : path_(to / fmt::format(".download-{}", getpid())) {
    std::error_code failed;
    fs::create_directories(path_, failed);
    check<CannotCreate>(!failed, "{}: {}", path_.string(), failed.message());
  }
  ~Workshop() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The exit status of a program found on PATH, started without a shell.
int run_program(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed =
      posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ);
  check<IoError>(failed != ENOENT, "the program {} is not installed", words[0]);
  check<IoError>(failed == 0, "{} cannot be started: {}", words[0], std::strerror(failed));
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    check<IoError>(errno == EINTR, "{}: {}", words[0], std::strerror(errno));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void download(const std::string& url, const fs::path& file, const fs::path& messages) {
  const int status = run_program({"curl", "--fail", "--location", "--silent", "--show-error",
                                  "--proto", "=https,file", "--connect-timeout", "10", "--stderr",
                                  messages.string(), "--output", file.string(), url});
  const std::string said = first_line(messages);
  check<IoError>(status == 0, "{}: {}", url,
                 said.empty() ? fmt::format("curl: status {}", status) : said);
}

/// By coreutils' md5sum, which reads what to expect from a file.
void check_md5(const fs::path& file, const std::string& md5, const fs::path& folder,
               const std::string& url) {
  const fs::path expected = folder / "md5";
  std::ofstream(expected) << md5 << "  " << file.string() << "\n";
  const int status = run_program({"md5sum", "--check", "--status", expected.string()});
  check<DamagedFile>(status == 0, "{}: the MD5 of what came is not {}", url, md5);
}

void unpack(const fs::path& archive, const std::string& ending, const fs::path& to) {
  for_each_member(archive, [&](const ArchiveMember& member) {
    if (!member.name().ends_with(ending)) return;
    const fs::path file = to / fs::path(member.name()).filename();
    std::ofstream out(file, std::ios::binary);
    member.read([&](const void* data, size_t size) {
      out.write(static_cast<const char*>(data), int64_t(size));
    });
    out.close();
    check<CannotCreate>(out.good(), "{}: cannot be written", file.string());
  });
}

}  // namespace

void download_archive(const RemoteArchive& remote, const std::string& ending, const fs::path& to) {
  const Workshop workshop(to);
  const fs::path archive = workshop.path() / "archive", files = workshop.path() / "files";
  download(remote.url, archive, workshop.path() / "messages");
  check_md5(archive, remote.md5, workshop.path(), remote.url);
  fs::create_directory(files);
  unpack(archive, ending, files);
  for (const auto& entry : fs::directory_iterator(files)) {
    fs::rename(entry.path(), to / entry.path().filename());
  }
}

}  // namespace apprentice::data
