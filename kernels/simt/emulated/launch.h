#pragma once

#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <apprentice/kernels/simt/emulated/base.h>

namespace apprentice::simt {
inline namespace api_emu {

using Stream = void*;
struct Grid {
  unsigned x = 1, y = 1, z = 1;
  constexpr Grid(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

}  // namespace api_emu

namespace emu {
/// Runs body(arguments) once for each thread of the grid; throws Fault.
void run_grid(Grid grid, Grid block, size_t shared_bytes, void (*body)(const void*),
              const void* arguments);
/// Runs the work, unless its stream is being recorded (emulator.h).
void give(Stream stream, std::function<void()> work);
void* device_alloc(size_t bytes);
void device_free(void* p);
}  // namespace emu

inline namespace api_emu {

template <class... P, class... A>
void launch(void (*kernel)(P...), Grid grid, Grid block, size_t shared_bytes, Stream stream,
            A&&... args) {
  static_assert((std::is_trivially_copyable_v<P> && ...), "kernel parameters are copied as bytes");
  using Call = std::pair<void (*)(P...), std::tuple<P...>>;
  const Call call{kernel, std::tuple<P...>(P(std::forward<A>(args))...)};
  // Parameters go by value: each thread has its own copy.
  const auto body = [](const void* p) {
    const Call& c = *static_cast<const Call*>(p);
    std::apply(c.first, c.second);
  };
  emu::give(stream, [=] { emu::run_grid(grid, block, shared_bytes, body, &call); });
}

inline void* device_alloc(size_t bytes) { return emu::device_alloc(bytes); }
inline void device_free(void* p) { emu::device_free(p); }
inline void copy_to_device(void* to, const void* from, size_t bytes) {
  if (bytes) std::memcpy(to, from, bytes);
}
inline void copy_to_host(void* to, const void* from, size_t bytes) {
  if (bytes) std::memcpy(to, from, bytes);
}

}  // namespace api_emu
}  // namespace apprentice::simt
