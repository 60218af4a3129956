#include <algorithm>

#include <catch2/catch.hpp>

#include <apprentice/data/jpeg.h>

#include "data/make_images.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::test;
using data::ImageSize;
using data::JpegDecoder;

namespace {

/// Position of the first marker FF `code`.
size_t marker(const Bytes& jpeg, uint8_t code) {
  for (size_t i = 0; i + 1 < jpeg.size(); ++i) {
    if (jpeg[i] == 0xff && jpeg[i + 1] == code) return i;
  }
  throw Error("no such marker");
}

/// The same file with other sizes in its header.
Bytes with_size(Bytes jpeg, int height, int width) {
  const size_t at = marker(jpeg, 0xc0) + 5;
  jpeg[at] = uint8_t(height >> 8);
  jpeg[at + 1] = uint8_t(height);
  jpeg[at + 2] = uint8_t(width >> 8);
  jpeg[at + 3] = uint8_t(width);
  return jpeg;
}

std::string refused(const Bytes& jpeg, const std::string& why) {
  return throws<DamagedFile>([&] { decoded(jpeg); }, why);
}

}  // namespace

TEST_CASE("a JPEG of one grey level decodes to that level in all three channels") {
  // 8 (level - 128) is the only coefficient; quality 100 stores it exactly.
  const JpegOptions options{.components = GENERATE(1, 3), .quality = 100};
  const int level = GENERATE(0, 128, 200);
  const Bytes pixels(size_t(10 * 7 * options.components), uint8_t(level));
  const Bytes jpeg = encode_jpeg(10, 7, pixels, options);
  CHECK(JpegDecoder().size(jpeg) == ImageSize{7, 10});
  CHECK(decoded(jpeg, 10, 7) == Bytes(10 * 7 * 3, uint8_t(level)));
}

TEST_CASE("a damaged JPEG is refused with a reason, and the decoder can go on") {
  const Bytes good = random_jpeg(1);
  JpegDecoder decoder;
  Bytes pixels(16 * 12 * 3), expected = decoded(good);
  const auto refuse = [&](const Bytes& bytes, const std::string& why) {
    CHECK(throws<DamagedFile>([&] { decoder.decode(bytes, {12, 16}, pixels.data()); }, why) == "");
    decoder.decode(good, {12, 16}, pixels.data());
    CHECK(pixels == expected);
  };
  refuse({}, "Empty input file");
  refuse(Bytes(500, 'x'), "Not a JPEG file");
  refuse(Bytes(good.begin(), good.begin() + 20), "");
  refuse(Bytes(good.begin(), good.end() - long(good.size() / 8)), "Premature end of JPEG file");
  refuse(random_jpeg(2, 16, 13), "16x13 pixels, expected 16x12");
}

TEST_CASE("no truncated JPEG decodes") {
  const Bytes good = random_jpeg(3);
  // Without the two bytes of the end marker all pixels are still there, but libjpeg warns.
  for (size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK(refused(Bytes(good.begin(), good.begin() + long(size)), "") == "");
  }
}

TEST_CASE("a JPEG with random bytes in it decodes or is refused with a reason") {
  Rng rng(11, RngPurpose::test);
  const Bytes good = random_jpeg(4);
  for (int i = 0; i < 500; ++i) {
    Bytes bytes = good;
    for (uint32_t n = 1 + rng.below(4); n > 0; --n) {
      bytes[rng.below(uint32_t(bytes.size()))] = uint8_t(rng.bits());
    }
    try {
      decoded(bytes);
    } catch (const DamagedFile& error) {
      CHECK(std::string(error.what()) != "");
    }
  }
}

TEST_CASE("a JPEG header that claims a huge picture is refused before memory is taken") {
  const Bytes good = random_jpeg(5);
  CHECK(refused(with_size(good, 1, 16385), "16385x1 pixels, at most 16384 a side") == "");
  CHECK(refused(with_size(good, 16000, 16000), "16000x16000 pixels, at most") == "");
}

TEST_CASE("a JPEG with more scans than allowed is refused") {
  Bytes jpeg = random_jpeg(6, 16, 12, {.one_scan_a_component = true});
  CHECK(decoded(jpeg).size() == size_t(16 * 12 * 3));
  const size_t begin = marker(jpeg, 0xda);
  const Bytes scans(jpeg.begin() + long(begin), jpeg.end() - 2);
  for (int i = 0; i < 200; ++i) jpeg.insert(jpeg.end() - 2, scans.begin(), scans.end());
  CHECK(refused(jpeg, "more than 500 scans") == "");
}
