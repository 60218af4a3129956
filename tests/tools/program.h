#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace apprentice::test {

/// What one call of the program gave.
struct Called {
  int code = -1;  ///< exit code, or 128 + signal
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

/// Runs `apprentice <arguments>` through the shell. `prefix` goes before the program: "ulimit -f
/// 100; ", "timeout -s TERM 2 ".
Called call(const std::string& arguments, const std::string& prefix = "");

/// A folder under the system's temporary one that is removed at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_text(const std::string& path, const std::string& text);
std::string read_text(const std::string& path);

}  // namespace apprentice::test
