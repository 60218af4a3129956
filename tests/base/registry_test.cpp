#include <apprentice/base/registry.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;
using test::throws;

TEST_CASE("a registry hands out what was added, by name and in order") {
  Registry<int> numbers("number");
  numbers.add("two", 2);
  numbers.add("one", 1);
  CHECK(numbers.get("one") == 1);
  CHECK(numbers.get("two") == 2);
  CHECK(numbers.has("one"));
  CHECK_FALSE(numbers.has("three"));
  CHECK(numbers.names() == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a registry refuses a name twice and an unknown name with the nearest") {
  Registry<int> numbers("number");
  numbers.add("seven", 7);
  CHECK(throws<Error>([&] { numbers.add("seven", 8); }, "number seven", "twice") == "");
  CHECK(numbers.get("seven") == 7);
  CHECK(throws<ConfigError>([&] { numbers.get("sevn"); }, "number 'sevn'", "did you mean 'seven'",
                            "known: seven") == "");
}
