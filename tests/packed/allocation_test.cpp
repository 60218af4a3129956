#include <atomic>
#include <cstdlib>
#include <new>

#include <catch2/catch.hpp>

#include <apprentice/packed/packed_network.h>

#include "tiny_network.h"

// Every `new` of this binary is counted.
namespace {

std::atomic<int64_t> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, whole > 0 ? whole : alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, std::size_t(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return counted(bytes, alignof(std::max_align_t));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace apprentice {

using packed::PackedNetwork;
using test::TinyNetwork;

TEST_CASE("a forward allocates nothing once a batch of its size or a larger one was there",
          "[packed]") {
  using Kind = TinyNetwork::Kind;
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
  for (const int threads : {1, 2}) {
    PackedNetwork::Options options;
    options.threads = threads;
    PackedNetwork network = PackedNetwork::load(net.file(), options);
    const auto x = net.images(40);
    std::vector<float> logits(40 * 4);
    const auto forward = [&](int64_t n) {
      network.forward({x.data(), {n, 9, 8, 3}}, {logits.data(), {n, 4}});
    };
    const int64_t before = allocations;
    forward(40);
    CHECK(allocations > before);  // the count works
    for (const int64_t n : {40, 1, 3, 16}) {
      // Threads that a smaller batch brings to a layer find their own memory once; on a busy
      // machine one may come too late to all of a forward.
      for (int i = 0; i < 5; ++i) forward(n);
      const int64_t start = allocations;
      forward(n);
      CHECK(allocations == start);
    }
  }
}

}  // namespace apprentice
