#define CATCH_CONFIG_RUNNER
#include <cuda_runtime_api.h>

#include <catch2/catch.hpp>
#include <cstdio>

// Runs tests on the GPU, but for those about the emulated device; 77, which CTest counts as
// skipped, where there is none that can.
namespace {

constexpr int skipped = 77;

/// 10 * major + minor of the first device; 0 without one.
int compute_capability() {
  int devices = 0, major = 0, minor = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  return 10 * major + minor;
}

bool wants_sm90(const Catch::ConfigData& config) {
  for (const std::string& test : config.testsOrTags)
    if (test.find("_sm90_test]") != std::string::npos) return true;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int error = session.applyCommandLine(argc, argv)) return error;
  Catch::ConfigData config = session.configData();
  if (config.listTests || config.listTags || config.showHelp) return session.run();
  const int capability = compute_capability();
  const bool is_sm90 = capability / 10 == 9;
  if (capability == 0 || (!is_sm90 && wants_sm90(config))) {
    std::puts(capability ? "skipped: needs a device of compute capability 9.x"
                         : "skipped: no CUDA device");
    return skipped;
  }
  if (config.testsOrTags.empty()) config.testsOrTags = {is_sm90 ? "" : "~[sm90]"};
  for (std::string& wanted : config.testsOrTags) wanted = "~[emulated]" + wanted;
  session.useConfigData(config);
  return session.run();
}
