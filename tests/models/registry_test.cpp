#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/models/registry.h>

using namespace apprentice;
using Catch::Matchers::Contains;

TEST_CASE("every ResNet of the CIFAR family has the known number of parameters") {
  const auto [name, expected] = GENERATE(table<const char*, int64_t>({{"resnet8", 75290},
                                                                      {"resnet14", 172506},
                                                                      {"resnet20", 269722},
                                                                      {"resnet32", 464154},
                                                                      {"resnet44", 658586},
                                                                      {"resnet56", 853018},
                                                                      {"resnet110", 1727962}}));
  int64_t count = 0;
  for (const Tensor& parameter : make_model(name)->parameters()) count += parameter.numel();
  CAPTURE(name);
  CHECK(count == expected);
}

TEST_CASE("an unknown architecture is refused, naming the nearest") {
  CHECK_THROWS_AS(make_model("resnet21"), ConfigError);
  CHECK_THROWS_WITH(make_model("resnet21"),
                    Contains("'resnet21'") && Contains("did you mean 'resnet20'"));
}

TEST_CASE("the first word of a description names the architecture") {
  CHECK(make_model("resnet8 (CIFAR, 6n+2, option-A shortcuts)")->state_dict().size() ==
        make_model("resnet8")->state_dict().size());
}

TEST_CASE("an architecture added from outside is made by name") {
  models().add("nothing",
               {.make = [](const ModelOptions&) { return std::shared_ptr<nn::TensorModule>(); }});
  CHECK(make_model("nothing") == nullptr);
}
