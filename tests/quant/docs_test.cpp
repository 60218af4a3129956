#include <catch2/catch.hpp>

#include <string>

#include <apprentice/base/files.h>

using namespace apprentice;

TEST_CASE("the code of docs/add_a_quantizer.md is that of quant/methods/twn.cpp") {
  const std::string root = APPRENTICE_SOURCE_DIR;
  const std::string page = read_file(root + "/docs/add_a_quantizer.md");
  const std::string source = read_file(root + "/quant/methods/twn.cpp");
  const std::string open = "```cpp\n", close = "```\n";
  int found = 0;
  for (size_t at = page.find(open); at != std::string::npos; at = page.find(open, at)) {
    at += open.size();
    const std::string code = page.substr(at, page.find(close, at) - at);
    if (code.find("quantizers().add(\"mine\"") != std::string::npos) continue;
    CAPTURE(code);
    CHECK(source.find(code) != std::string::npos);
    ++found;
  }
  CHECK(found == 3);
}
