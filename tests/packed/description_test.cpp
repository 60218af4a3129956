#include <cmath>

#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/rng.h>
#include <apprentice/packed/description.h>

#include "support/throws.h"
#include "tiny_network.h"

namespace apprentice {

using packed::Description;
using packed::from_json;
using test::throws;

TEST_CASE("a description reads back as it was written", "[packed]") {
  const Description description = test::TinyNetwork().description;
  CHECK(from_json(to_json(description), "f") == description);
  Description weights_only;
  weights_only.weights_only = true;
  CHECK(from_json(to_json(weights_only), "f") == weights_only);
}

TEST_CASE("every f32 of a description reads back to the same bits", "[packed]") {
  Description d = test::TinyNetwork().description;
  Rng rng(3, RngPurpose::test);
  for (int i = 0; i < 3000; ++i) {
    d.layers[2].r = std::ldexp(1.0f + rng.uniform(), int(rng.below(250)) - 125);
    REQUIRE(from_json(to_json(d), "f").layers[2].r == d.layers[2].r);
  }
}

TEST_CASE("fields that are missing, unknown or of another type are named", "[packed]") {
  const std::string good = to_json(test::TinyNetwork().description);
  REQUIRE_NOTHROW(from_json(good, "f"));
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const auto refuses = [](const std::string& text, const std::string& a, const std::string& b) {
    return throws<DamagedFile>([&] { from_json(text, "f"); }, std::string("f:"), a, b);
  };
  CHECK(refuses(changed("\"height\":9,", ""), "input", "'height' is missing") == "");
  CHECK(refuses(changed("\"height\":9", "\"height\":9.5"), "height is 9.5", "integer") == "");
  CHECK(refuses(changed("\"height\":9", "\"height\":-1"), "height is -1", "1 to 16384") == "");
  CHECK(refuses(changed("\"height\":9", "\"height\":18446744073709551615"), "height is 18446",
                "1 to 16384") == "");
  CHECK(refuses(changed("\"height\":9,\"width\":8", "\"height\":16384,\"width\":16384"), "16384",
                "too large") == "");
  CHECK(refuses(changed("\"op\":\"stem\"", "\"op\":\"stem\",\"bias\":1"), "'conv1'",
                "unknown field 'bias'") == "");
  CHECK(refuses(changed("\"kernel\":[3,3]", "\"kernel\":[3]"), "'conv1'", "two integers") == "");
  CHECK(refuses(changed("\"r\":0.7", "\"r\":0"), "'b'", "above 0") == "");
  CHECK(refuses(changed("\"r\":0.7", "\"r\":1e39"), "'b'", "above 0") == "");
  CHECK(refuses(changed("\"name\":\"a\"", "\"name\":5"), "layer 1", "expected text") == "");
  CHECK(refuses(R"({"weights_only":false})", "weights_only is false", "expected true") == "");
  CHECK(refuses(R"({"weights_only":true,"layers":[]})", "unknown field", "layers") == "");
  CHECK(refuses(R"([1])", "apprentice.network", "object") == "");
  CHECK(refuses("", "apprentice.network", "") == "");
}

TEST_CASE("stride, padding and largest code are left out where they are the usual ones",
          "[packed]") {
  packed::Description d = test::TinyNetwork().description;
  packed::Layer& stem = d.layers[0];
  stem.stride = {1, 1}, stem.padding = {1, 1}, stem.max_code = 255;
  const std::string usual = to_json(d);
  CHECK(usual.find("\"kernel\":[3,3]}") != std::string::npos);
  CHECK(from_json(usual, "f") == d);
  stem.stride = {2, 1}, stem.padding = {0, 1}, stem.max_code = 15;
  const std::string other = to_json(d);
  CHECK(other.find("\"stride\":[2,1],\"padding\":[0,1],\"max_code\":15}") != std::string::npos);
  CHECK(from_json(other, "f") == d);
}

}  // namespace apprentice
