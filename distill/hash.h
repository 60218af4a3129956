#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace apprentice::distill {

/// XXH3-128 (https://github.com/Cyan4973/xxHash), seed 0, over bytes that come in pieces.
class Hash {
 public:
  Hash();
  ~Hash();
  void add(std::span<const std::byte> bytes);
  /// 32 hex digits, the high half first, as `xxh128sum` prints it.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The same of bytes at hand, and of a file, which is read in pieces. MissingInput or IoError.
std::string hash_hex(std::span<const std::byte> bytes);
std::string hash_file(const std::string& path);

}  // namespace apprentice::distill
