#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/error.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;

TEST_CASE("a buffer is aligned, writable to its end and wastes at most an eighth") {
  const size_t bytes = GENERATE(0u, 1u, 63u, 64u, 65u, 1000u, 4096u, 4097u, 1000003u,
                                (2u << 20) - 1, 2u << 20, (5u << 20) + 1);
  CAPTURE(bytes);
  Buffer buffer(bytes);
  CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % 64 == 0);
  CHECK(buffer.bytes() >= bytes);
  CHECK(buffer.bytes() <= std::max<size_t>(64, bytes + std::max<size_t>(63, bytes / 8)));
  std::memset(buffer.data(), 0xab, buffer.bytes());
}

TEST_CASE("large buffers that live together start at different places of the caches") {
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<uintptr_t> places;
  for (int i = 0; i < 8; ++i) {
    buffers.push_back(std::make_unique<Buffer>(size_t(4) << 20));
    places.push_back(reinterpret_cast<uintptr_t>(buffers.back()->data()) % 4096);
  }
  std::sort(places.begin(), places.end());
  CHECK(std::unique(places.begin(), places.end()) == places.end());
  std::memset(buffers.back()->data(), 1, buffers.back()->bytes());
  buffers.clear();
  release_cached_memory();
}

TEST_CASE("a freed block is handed out again and counted") {
  release_cached_memory();
  const MemoryUse before = memory_use();
  void* where = nullptr;
  {
    const Buffer buffer(1 << 20);
    where = buffer.data();
    CHECK(memory_use().live == before.live + buffer.bytes());
    CHECK(memory_use().peak >= before.live + buffer.bytes());
  }
  CHECK(memory_use().live == before.live);
  CHECK(memory_use().cached == size_t(1) << 20);
  {
    const Buffer again(1 << 20);
    CHECK(again.data() == where);
    CHECK(memory_use().cached == 0);
  }
  release_cached_memory();
  CHECK(memory_use().cached == 0);
}

TEST_CASE("an impossible size is an error that names it") {
  CHECK(test::throws<Error>([] { Buffer buffer(size_t(1) << 60); }, "1152921504606846976") == "");
  CHECK(test::throws<Error>([] { Buffer buffer(SIZE_MAX); }, "18446744073709551615") == "");
}

TEST_CASE("buffers made and freed by several threads never share memory") {
  const auto work = [](unsigned char mark, bool& intact) {
    for (int i = 0; i < 2000; ++i) {
      const Buffer buffer(256);
      auto* bytes = static_cast<unsigned char*>(buffer.data());
      std::memset(bytes, mark, 256);
      for (int k = 0; k < 256; ++k) intact &= bytes[k] == mark;
    }
  };
  bool intact[3] = {true, true, true};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back(work, static_cast<unsigned char>(t + 1), std::ref(intact[t]));
  }
  CHECK(intact[0]);
  CHECK(intact[1]);
  CHECK(intact[2]);
}
