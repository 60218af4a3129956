#include <apprentice/distill/hash.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <apprentice/base/error.h>

#include <cstdio>
#include <vector>

namespace apprentice::distill {

struct Hash::State {
  XXH3_state_t xxh;
};

Hash::Hash() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Hash::~Hash() = default;

void Hash::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::string Hash::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_hex(std::span<const std::byte> bytes) {
  Hash hash;
  hash.add(bytes);
  return hash.hex();
}

std::string hash_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  check<MissingInput>(file != nullptr, "{}: cannot be opened", path);
  std::vector<std::byte> piece(size_t(1) << 20);
  Hash hash;
  while (const size_t n = std::fread(piece.data(), 1, piece.size(), file.get()))
    hash.add({piece.data(), n});
  check<IoError>(!std::ferror(file.get()), "{}: reading failed", path);
  return hash.hex();
}

}  // namespace apprentice::distill
