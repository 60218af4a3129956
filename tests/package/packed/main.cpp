// Writes a packed network of three layers, runs it and checks its answer: the program of a user who
// links apprentice::packed and nothing else.
#include <cstdio>

#include <apprentice/base/safetensors.h>
#include <apprentice/packed/packed_network.h>

using namespace apprentice;

namespace {

packed::Description description() {
  packed::Layer stem{.op = "stem", .name = "conv1", .x = 0, .y = 1, .in = 1, .out = 1};
  packed::Layer pool{.op = "global_avg_pool", .name = "pool", .x = 1, .y = 2};
  packed::Layer linear{.op = "linear", .name = "linear", .x = 2, .y = 3, .in = 1, .out = 2};
  return {.height = 2, .width = 2, .channels = 1, .layers = {stem, pool, linear}};
}

void write(const char* path) {
  const std::vector<float> one{1}, zero{0}, signs{1, -1}, zeros{0, 0};
  write_safetensors(
      path,
      {tensor_bytes<float>("conv1.weight", {1, 1, 1, 1}, one),
       tensor_bytes<float>("conv1.a", {1}, one), tensor_bytes<float>("conv1.b", {1}, zero),
       tensor_bytes<float>("linear.weight", {2, 1}, signs),
       tensor_bytes<float>("linear.bias", {2}, zeros)},
      {{packed::kFormatKey, packed::kFormat},
       {packed::kSchemaKey, packed::kSchema},
       {packed::kNetworkKey, packed::to_json(description())}});
}

}  // namespace

int main() {
  write("network.safetensors");
  auto network = packed::PackedNetwork::load("network.safetensors");
  const float image[] = {1, 2, 3, 6};
  float logits[] = {0, 0};
  network.forward({image, {1, 2, 2, 1}}, {logits, {1, 2}});
  std::printf("logits %g %g\n", double(logits[0]), double(logits[1]));
  return logits[0] == 3 && logits[1] == -3 ? 0 : 1;
}
