#include <apprentice/base/text.h>
#include <catch2/catch.hpp>

using namespace apprentice;

TEST_CASE("names are joined with separators between them only") {
  CHECK(join({}, ", ") == "");
  CHECK(join({"a"}, ", ") == "a");
  CHECK(join({"a", "b", "c"}, ", ") == "a, b, c");
}

TEST_CASE("the nearest name is suggested, and none that is far away") {
  const std::vector<std::string> known{"learning_rate", "momentum", "epochs"};
  CHECK(did_you_mean("learing_rate", known) == " (did you mean 'learning_rate'?)");
  CHECK(did_you_mean("momentun", known) == " (did you mean 'momentum'?)");
  CHECK(did_you_mean("epoch", known) == " (did you mean 'epochs'?)");
  CHECK(did_you_mean("cat", {"rat", "bat"}) == " (did you mean 'rat'?)");
  CHECK(did_you_mean("zzzzzzzzzzzz", known) == "");
  CHECK(did_you_mean("x", {}) == "");
}

TEST_CASE("a pattern matches whole texts, with * for any run of characters") {
  CHECK(matches("conv1", "conv1"));
  CHECK_FALSE(matches("conv1", "conv10"));
  CHECK_FALSE(matches("conv1", "xconv1"));
  CHECK(matches("*", ""));
  CHECK(matches("layer1.*", "layer1.0.conv1"));
  CHECK_FALSE(matches("layer1.*", "layer2.0.conv1"));
  CHECK(matches("*.conv1", "layer2.0.conv1"));
  CHECK(matches("l*0*1", "layer2.0.conv1"));
  CHECK_FALSE(matches("l*0*2", "layer2.0.conv1"));
  CHECK(matches("a**b", "ab"));
  CHECK(matches("*ab", "aab"));
  CHECK_FALSE(matches("", "a"));
}

TEST_CASE("a hostile pattern is matched in linear memory and quadratic time") {
  const std::string text(4000, 'a');
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  CHECK(matches(pattern, text));
  CHECK_FALSE(matches(pattern + "b", text));
}
