#include <apprentice/base/device.h>

#include <array>
#include <charconv>

#include <apprentice/base/error.h>

namespace apprentice {
namespace {

constexpr std::array<Device::Kind, kDeviceKinds> kKinds{Device::Kind::cpu, Device::Kind::cuda,
                                                        Device::Kind::emulated};

}  // namespace

std::string_view name_of(Device::Kind kind) {
  switch (kind) {
    case Device::Kind::cuda:
      return "cuda";
    case Device::Kind::emulated:
      return "emulated";
    case Device::Kind::cpu:
      break;
  }
  return "cpu";
}

std::string Device::str() const {
  return is_cpu() ? "cpu" : fmt::format("{}:{}", name_of(kind), index);
}

Device Device::parse(std::string_view text) {
  const size_t colon = text.find(':');
  for (const Kind kind : kKinds) {
    if (text.substr(0, colon) != name_of(kind)) continue;
    if (colon == std::string_view::npos) return {kind, 0};
    const char *first = text.data() + colon + 1, *last = text.data() + text.size();
    int index = -1;
    const auto [end, error] = std::from_chars(first, last, index);
    if (kind != Kind::cpu && error == std::errc() && end == last && index >= 0)
      return {kind, index};
  }
  throw ConfigError(fmt::format("device is '{}', expected cpu, cuda or cuda:N", text));
}

}  // namespace apprentice
