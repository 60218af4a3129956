#include <apprentice/distill/run_folder.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>

namespace apprentice::distill {

namespace fs = std::filesystem;

namespace {

/// Length of the longest run of whole lines that is at most `bytes` long.
uint64_t whole_lines(const std::string& path, uint64_t bytes) {
  const std::string text = read_file(path);
  const std::string_view head = std::string_view(text).substr(0, bytes);
  const size_t newline = head.rfind('\n');
  return newline == std::string_view::npos ? 0 : newline + 1;
}

}  // namespace

AppendFile::AppendFile(std::string path) : AppendFile() {
  path_ = std::move(path);
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  check<CannotCreate>(file_ >= 0, "{}: cannot be opened for writing: {}", path_,
                      std::strerror(errno));
  check<CannotCreate>(::flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
                      "{}: another process is writing it", path_);
}

void AppendFile::cut(uint64_t bytes) {
  bytes_ = whole_lines(path_, bytes);
  check<IoError>(::ftruncate(file_, off_t(bytes_)) == 0, "{}: cannot be cut to {} bytes: {}", path_,
                 bytes_, std::strerror(errno));
}

AppendFile::~AppendFile() {
  if (file_ >= 0) ::close(file_);
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), bytes_(other.bytes_) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void AppendFile::write(const std::string& line) {
  const std::string text = line + "\n";
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(file_, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    check<IoError>(n > 0, "{}: cannot be written: {}", path_, std::strerror(errno));
    done += size_t(n);
  }
  bytes_ += text.size();
}

RunFolder::RunFolder(std::string path, int64_t keep)
    : path_(std::move(path)),
      log_(path_ + "/log.jsonl"),
      summary_(path_ + "/summary.csv"),
      checkpoints_(path_ + "/checkpoints", keep) {
  checkpoints_.recover();  // the logs are locked: nobody else is at it
}

void RunFolder::check_new(const std::string& path) {
  std::error_code error;
  const bool exists = fs::exists(path, error);
  check<CannotCreate>(
      !exists || (fs::is_directory(path, error) && fs::is_empty(path, error)),
      "{}: exists and is not empty; name another folder, or resume the run that is there", path);
}

RunFolder RunFolder::create(const std::string& path, const Recipe& recipe,
                            int64_t keep_checkpoints) {
  check_new(path);
  make_folders(path);
  RunFolder folder(path, keep_checkpoints);  // locks the logs before anything is written
  folder.cut_logs({});
  write_file_durably(path + "/recipe.toml", to_toml(recipe));
  return folder;
}

RunFolder RunFolder::reopen(const std::string& path, int64_t keep_checkpoints) {
  check<MissingInput>(fs::exists(path + "/recipe.toml"),
                      "{}: holds no run: recipe.toml is not there", path);
  return RunFolder(path, keep_checkpoints);
}

void RunFolder::cut_logs(const RunState& state) {
  log_.cut(state.log_bytes);
  summary_.cut(state.summary_bytes);
}

void RunFolder::log(const Event& event) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  log_.write(json_line(event, now.count()));
}

void RunFolder::summary(const std::string& header, const std::string& row) {
  if (summary_.bytes() == 0) summary_.write(header);
  summary_.write(row);
}

void RunFolder::note_lengths(RunState& state) const {
  state.log_bytes = log_.bytes();
  state.summary_bytes = summary_.bytes();
}

std::string json_line(const Event& event, double seconds) {
  nlohmann::ordered_json line = {{"ts", seconds},
                                 {"step", event.step},
                                 {"epoch", event.epoch},
                                 {"rank", 0},
                                 {"event", event.kind}};
  for (const auto& [name, value] : event.fields) {
    const double* number = std::get_if<double>(&value);
    if (number && !std::isfinite(*number))
      line[name] = fmt::format("{}", *number);
    else
      std::visit([&, &key = name](const auto& v) { line[key] = v; }, value);
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace apprentice::distill
