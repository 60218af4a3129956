#include <algorithm>
#include <charconv>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/plans/engine_name_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// Takes `prefix` and the number behind it off the front of `text`.
template <class T>
bool take(std::string_view& text, std::string_view prefix, T& number) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(size_t(end - text.data()));
  return true;
}

}  // namespace

std::string EngineName::text() const {
  auto sorted = knobs;
  std::sort(sorted.begin(), sorted.end());
  std::string text = fmt::format("eng{}", engine);
  for (const auto& [knob, value] : sorted) text += fmt::format(" k{}={}", knob, value);
  return text;
}

EngineName parse_engine(std::string_view text) {
  EngineName name;
  std::string_view rest = text;
  bool ok = take(rest, "eng", name.engine);
  while (ok && !rest.empty()) {
    auto& [knob, value] = name.knobs.emplace_back();
    ok = take(rest, " k", knob) && take(rest, "=", value);
  }
  check<DeviceError>(ok, "cuDNN: '{}' is no name of an engine", text);
  return name;
}

}  // namespace apprentice::kernels::dense
