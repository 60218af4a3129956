#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/data/md5_internal.h>

namespace apprentice::data {
namespace {

constexpr std::array<std::array<int, 4>, 4> kRotations{
    {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};

/// floor(2^32 |sin(i + 1)|), RFC 1321 section 3.4.
std::array<uint32_t, 64> make_sines() {
  std::array<uint32_t, 64> sines{};
  for (size_t i = 0; i < 64; ++i) {
    sines[i] = uint32_t(std::floor(std::abs(std::sin(double(i + 1))) * 0x1p32));
  }
  return sines;
}

uint32_t word(const uint8_t* bytes) {
  return uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 |
         uint32_t(bytes[3]) << 24;
}

}  // namespace

void Md5::block(const uint8_t* bytes) {
  static const std::array<uint32_t, 64> sines = make_sines();
  auto [a, b, c, d] = state_;
  for (size_t i = 0; i < 64; ++i) {
    const size_t round = i / 16;
    const uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                           : round == 1 ? (d & b) | (~d & c)
                           : round == 2 ? b ^ c ^ d
                                        : c ^ (b | ~d);
    const size_t at = round == 0 ? i : round == 1 ? 5 * i + 1 : round == 2 ? 3 * i + 5 : 7 * i;
    const uint32_t sum = a + mixed + sines[i] + word(bytes + 4 * (at % 16));
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kRotations[round][i % 4]);
  }
  state_[0] += a;
  state_[1] += b;
  state_[2] += c;
  state_[3] += d;
}

void Md5::update(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  while (size > 0) {
    const size_t filled = bytes_ % 64, take = std::min(size, 64 - filled);
    std::memcpy(pending_.data() + filled, bytes, take);
    bytes_ += take;
    bytes += take;
    size -= take;
    if (filled + take == 64) block(pending_.data());
  }
}

std::string Md5::hex() {
  const uint64_t bits = bytes_ * 8;
  const uint8_t one = 0x80, zero = 0;
  update(&one, 1);
  while (bytes_ % 64 != 56) update(&zero, 1);
  std::array<uint8_t, 8> length{};
  for (size_t i = 0; i < 8; ++i) length[i] = uint8_t(bits >> (8 * i));
  update(length.data(), length.size());
  std::string text;
  for (const uint32_t part : state_) {
    for (int i = 0; i < 4; ++i) text += fmt::format("{:02x}", (part >> (8 * i)) & 0xffu);
  }
  return text;
}

std::string md5_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> buffer(1 << 20);
  Md5 sum;
  while (file.read(buffer.data(), int64_t(buffer.size())) || file.gcount() > 0) {
    sum.update(buffer.data(), size_t(file.gcount()));
  }
  check<IoError>(file.eof(), "{}: cannot be read", path.string());
  return sum.hex();
}

}  // namespace apprentice::data
