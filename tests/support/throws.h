#pragma once

#include <string>
#include <typeinfo>

#include <fmt/core.h>

namespace apprentice::test {

/// "" if `fn` throws exactly an E whose message holds every one of `parts`; else what it did
/// instead. Use: CHECK(throws<ShapeError>([] { ... }, "conv2d", "[2, 3]") == "").
template <class E, class Fn, class... Parts>
std::string throws(Fn&& fn, const Parts&... parts) {
  try {
    fn();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    if (typeid(error) != typeid(E)) return fmt::format("threw {}: {}", typeid(error).name(), text);
    std::string missing;
    ((missing += text.find(parts) == std::string::npos ? fmt::format(" '{}'", parts) : ""), ...);
    return missing.empty() ? "" : fmt::format("message lacks{}: {}", missing, text);
  }
  return "threw nothing";
}

}  // namespace apprentice::test
