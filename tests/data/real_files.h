#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include <fmt/core.h>

namespace apprentice::test {

/// The real file or folder `name` under the root APPRENTICE_DATA, or ../shared beside the sources;
/// "", after saying so once, if it is not there.
inline std::string real_file(const std::string& name) {
  const char* variable = std::getenv("APPRENTICE_DATA");
  const std::string root =
      variable != nullptr && *variable != 0 ? variable : APPRENTICE_SOURCE_DIR "/../shared";
  const std::string path = root + "/" + name;
  if (std::filesystem::exists(path)) return path;
  fmt::print("skipped: no {}\n", path);
  return "";
}

}  // namespace apprentice::test
