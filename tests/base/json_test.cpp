#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/json_internal.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;
using test::throws;

TEST_CASE("valid JSON is read as it stands") {
  const nlohmann::json json =
      parse_json(R"({"a": [1, 2.5, "x", null, true], "b": {"a": -1}})", "f");
  CHECK(json["a"].size() == 5);
  CHECK(json["a"][1] == 2.5);
  CHECK(json["b"]["a"] == -1);
}

TEST_CASE("broken JSON is a DamagedFile that names the file") {
  const std::string text =
      GENERATE("", "{", "{]", "{\"a\":}", "[1,]", "{\"a\":1}x", "\"\xff\"", "nul");
  CAPTURE(text);
  CHECK(throws<DamagedFile>([&] { parse_json(text, "net.json"); }, "net.json: no valid JSON") ==
        "");
}

TEST_CASE("a zero byte does not end the text early") {
  const std::string text("{}\0x", 4);
  CHECK(throws<DamagedFile>([&] { parse_json(text, "f"); }, "f: no valid JSON") == "");
}

TEST_CASE("a key twice in one object is refused, in two objects not") {
  CHECK(throws<DamagedFile>([] { parse_json(R"({"a":{"b":1,"c":2,"b":3}})", "f"); }, "f: key 'b'",
                            "twice") == "");
  CHECK_NOTHROW(parse_json(R"([{"b":1},{"b":2},{"c":{"b":3}}])", "f"));
}

TEST_CASE("JSON deeper than allowed is refused before it is built") {
  const auto nested = [](int depth) {
    return std::string(size_t(depth), '[') + std::string(size_t(depth), ']');
  };
  CHECK_NOTHROW(parse_json(nested(32), "f"));
  CHECK(throws<DamagedFile>([&] { parse_json(nested(33), "f"); }, "deeper than 32") == "");
  CHECK(throws<DamagedFile>([] { parse_json(std::string(1 << 20, '['), "f"); }, "32") == "");
  CHECK_NOTHROW(parse_json(nested(3), "f", 3));
  CHECK(throws<DamagedFile>([&] { parse_json(nested(4), "f", 3); }, "3 levels") == "");
}
