#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/quant/policy.h>
#include <quant/quant_problems.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::test;
using quant::Policy;

namespace {

/// "" if reading this policy is the ConfigError that holds `parts`.
template <class... Parts>
std::string refused(const std::string& json, const Parts&... parts) {
  return throws<ConfigError>([&] { quant::policy_from_json(json); }, parts...);
}

}  // namespace

TEST_CASE("policy: JSON text comes back as the same text") {
  Policy policy = make_policy("twn", 2, "wrpn", 4);
  policy.layer.per_channel = true;
  policy.keep = {"conv1", "fc"};
  policy.overrides = {{"layer3.*", "wrpn", "", 4, 0}, {"layer1.0.conv1", "", "none", 0, 8}};
  const std::string text = quant::to_json(policy);
  CHECK(quant::to_json(quant::policy_from_json(text)) == text);
  CHECK(text.find("\"granularity\":\"channel\"") != std::string::npos);
}

TEST_CASE("policy: keep leaves a weight alone, and the last override that matches wins") {
  Policy policy = make_policy("twn", 2, "wrpn", 8);
  policy.overrides = {{"layer*", "wrpn", "", 4, 0}, {"layer3.*", "", "", 3, 4}};
  CHECK(quant::policy_for(policy, "conv1").weights == "none");
  CHECK(quant::policy_for(policy, "conv1").activations == "wrpn");
  CHECK(quant::policy_for(policy, "layer2.0.conv1").w_bits == 4);
  CHECK(quant::policy_for(policy, "layer2.0.conv1").a_bits == 8);
  CHECK(quant::policy_for(policy, "layer3.0.conv1").weights == "wrpn");
  CHECK(quant::policy_for(policy, "layer3.0.conv1").w_bits == 3);
  CHECK(quant::policy_for(policy, "layer3.0.conv1").a_bits == 4);
}

TEST_CASE("policy: an impossible one is an error that names key, value and what is allowed") {
  CHECK(refused(R"({"weights":"tvn"})", "quant.weights", "'tvn'", "did you mean 'twn'", "ttq") ==
        "");
  CHECK(refused(R"({"activations":"relu"})", "quant.activations", "'relu'", "wrpn") == "");
  CHECK(refused(R"({"weights":"twn","w_bits":3})", "quant.w_bits is 3", "twn takes 2") == "");
  CHECK(refused(R"({"weights":"wrpn","w_bits":5})", "w_bits is 5", "wrpn takes 2, 3, 4") == "");
  CHECK(refused(R"({"activations":"wrpn","a_bits":9})", "a_bits is 9", "8") == "");
  CHECK(refused(R"({"activations":"wrpn","a_bits":1})", "a_bits is 1") == "");
  CHECK(refused(R"({"weights":"ttq","granularity":"channel"})", "granularity", "ttq") == "");
  CHECK(refused(R"({"granularity":"pixel"})", "granularity", "'pixel'", "'channel'") == "");
  CHECK(refused(R"({"weigths":"twn"})", "unknown key 'weigths'", "did you mean 'weights'") == "");
  CHECK(refused(R"({"w_bits":"2"})", "quant.w_bits", "a whole number") == "");
  CHECK(refused(R"({"keep":"conv1"})", "quant.keep", "a list of texts") == "");
  CHECK(refused(R"({"keep":[""]})", "quant.keep", "empty") == "");
  CHECK(refused(R"({"overrides":[{"layers":"a","w_bits":7,"weights":"twn"}]})",
                "overrides[0].w_bits is 7") == "");
  CHECK(refused(R"({"overrides":[{"w_bits":2}]})", "overrides[0].layers is empty") == "");
  CHECK(throws<DamagedFile>([] { quant::policy_from_json("{\"weights\""); }) == "");
}

TEST_CASE("policy: a pattern that matches no layer is an error that names the layers") {
  Policy policy = make_policy("twn", 2);
  policy.keep = {"conv1", "fc"};
  auto model = make_model("resnet8");
  CHECK(throws<ConfigError>([&] { quant::prepare(*model, policy); }, "quant.keep", "'fc'",
                            "layer1.0.conv1", "linear") == "");
  policy.keep = {"conv1", "linear"};
  policy.overrides = {{"layer4.*", "wrpn", "", 4, 0}};
  CHECK(throws<ConfigError>([&] { quant::prepare(*model, policy); }, "overrides[0].layers",
                            "'layer4.*'") == "");
}

TEST_CASE("policy: the summary names bits and method") {
  CHECK(quant::summary(make_policy("twn", 2, "wrpn", 8)) == "8A-2W twn");
  CHECK(quant::summary(make_policy("ttq", 2)) == "32A-2W ttq");
  CHECK(quant::summary(Policy()) == "32A-32W");
  CHECK_FALSE(Policy().quantizes());
  CHECK(make_policy("none", 2, "wrpn").quantizes());
}
