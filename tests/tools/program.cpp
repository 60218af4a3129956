#include "tools/program.h"

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace apprentice::test {

ScratchFolder::ScratchFolder() {
  std::string pattern = std::filesystem::temp_directory_path() / "apprentice-test-XXXXXX";
  if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp " + pattern);
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string read_text(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

Called call(const std::string& arguments, const std::string& prefix) {
  const ScratchFolder scratch;
  const std::string command = prefix + APPRENTICE_PROGRAM " " + arguments + " >" + scratch / "out" +
                              " 2>" + scratch / "err" + " </dev/null";
  const int status = std::system(("( " + command + " )").c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {code, read_text(scratch / "out"), read_text(scratch / "err")};
}

}  // namespace apprentice::test
