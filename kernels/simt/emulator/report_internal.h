#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include <apprentice/kernels/simt/emulator/engine_internal.h>

namespace apprentice::simt::emu {

/// "file.cuh:12"
std::string text(const Site& site);
/// "block (0,0,0) thread (3,0,0)"
std::string describe(const Thread& thread);
bool same(const Site& a, const Site& b);

[[noreturn]] void throw_fault(const Site& site, const std::string& message);
/// Ends the kernel: launch() throws the message with its place and thread.
template <class... Args>
[[noreturn]] void fail(const Site& site, fmt::format_string<Args...> message, Args&&... args) {
  throw_fault(site, fmt::format(message, std::forward<Args>(args)...));
}

/// The same where nothing may be thrown, as in a hook that the compiler calls: the block ends when
/// the thread next waits. The first message stays.
void remember_fault(const std::string& message);

/// What the access checker calls a place: a return address, or a number of one of our own sites.
const void* place_of(const Site& site);
/// How a place stands in a message until resolve_places has turned it into "file.cuh:12".
std::string place_text(const void* place);
std::string resolve_places(std::string message);

}  // namespace apprentice::simt::emu
