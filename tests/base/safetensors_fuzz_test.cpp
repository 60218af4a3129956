#include <cstring>
#include <string>

#include <apprentice/base/error.h>
#include <apprentice/base/rng.h>
#include <apprentice/base/safetensors.h>
#include <catch2/catch.hpp>

using namespace apprentice;

namespace {

std::string small_file() {
  static const std::vector<float> floats(6, 1.5f);
  static const std::vector<uint8_t> codes(5, 7);
  std::vector<TensorBytes> tensors{tensor_bytes<float>("layer.weight", {2, 3}, floats),
                                   tensor_bytes<uint8_t>("layer.codes", {5}, codes)};
  std::string text = safetensors_header(tensors, {{"arch", "resnet20"}});
  for (const TensorBytes& t : tensors)
    text.append(reinterpret_cast<const char*>(t.data.data()), t.data.size());
  return text;
}

/// One to four changes: a flipped bit, a byte of JSON's own alphabet, a cut, a doubled piece.
std::string damage(std::string text, Rng& rng) {
  static constexpr char kAlphabet[] = "{}[]\",:0123456789-.eE\\u_truefalsn ";
  for (uint32_t change = 0, changes = 1 + rng.below(4); change < changes && !text.empty();
       ++change) {
    const size_t at = rng.below(uint32_t(text.size()));
    switch (rng.below(8)) {
      case 0:
        text.resize(at);
        break;
      case 1:
        text.insert(at, text.substr(at, rng.below(40)));
        break;
      case 2:
        text[rng.below(8)] = char(rng.bits());
        break;
      case 3:
      case 4:
        text[at] = char(text[at] ^ (1 << rng.below(8)));
        break;
      default:
        text[at] = kAlphabet[rng.below(sizeof(kAlphabet) - 1)];
    }
    if (text.size() < 8) break;
  }
  return text;
}

/// Reads what a file handed out: a sanitizer sees a span that leaves its memory.
size_t touch(const SafetensorsFile& file) {
  size_t sum = 0;
  for (const TensorInfo& t : file.tensors()) {
    REQUIRE(t.data.size() * 8 == size_t(t.shape.numel()) * size_t(safetensors_bits(t.dtype)));
    for (const std::byte b : t.data) sum += size_t(b);
  }
  return sum;
}

}  // namespace

TEST_CASE("a damaged file is read whole or refused as DamagedFile, whatever the damage") {
  const std::string good = small_file();
  Rng rng(20, RngPurpose::test);
  int taken = 0, refused = 0;
  for (int i = 0; i < 40000; ++i) {
    const std::string text = damage(good, rng);
    try {
      touch(SafetensorsFile::parse(std::as_bytes(std::span(text)), "fuzz"));
      ++taken;
    } catch (const DamagedFile&) {
      ++refused;
    }
  }
  // Changes inside the values, the names and the blanks are no damage to the format.
  CHECK(taken > 1000);
  CHECK(refused > 20000);
}

TEST_CASE("a file cut at any byte is refused") {
  const std::string good = small_file();
  for (size_t length = 0; length < good.size(); ++length) {
    CAPTURE(length);
    const std::string cut = good.substr(0, length);
    CHECK_THROWS_AS(SafetensorsFile::parse(std::as_bytes(std::span(cut)), "cut"), DamagedFile);
  }
  CHECK_NOTHROW(SafetensorsFile::parse(std::as_bytes(std::span(good)), "whole"));
}
