#include <cstdlib>
#include <string>
#include <string_view>

#include <apprentice/kernels/simt/emulator.h>

namespace apprentice::simt::emu {

namespace {

std::string from_environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

Order order_of(const std::string& text) {
  if (text == "forward") return Order::forward;
  if (text == "reverse") return Order::reverse;
  if (text == "random") return Order::random;
  check<ConfigError>(text == "greedy",
                     "APPRENTICE_SIMT_ORDER is '{}', expected forward, reverse, random or greedy",
                     text);
  return Order::greedy;
}

Arrival arrival_of(const std::string& text) {
  if (text == "lazy") return Arrival::lazy;
  if (text == "eager") return Arrival::eager;
  check<ConfigError>(text == "random",
                     "APPRENTICE_SIMT_ARRIVAL is '{}', expected lazy, eager or random", text);
  return Arrival::random;
}

uint64_t number_of(const char* name) {
  const std::string text = from_environment(name, "1");
  char* end = nullptr;
  const uint64_t number = std::strtoull(text.c_str(), &end, 10);
  check<ConfigError>(!*end && number > 0, "{} is '{}', expected a positive number", name, text);
  return number;
}

Settings environment_settings() {
  Settings s;
  s.threads = s.blocks = order_of(from_environment("APPRENTICE_SIMT_ORDER", "forward"));
  s.arrival = arrival_of(from_environment("APPRENTICE_SIMT_ARRIVAL", "lazy"));
  s.seed = number_of("APPRENTICE_SIMT_SEED");
  s.workers = unsigned(number_of("APPRENTICE_SIMT_WORKERS"));
  return s;
}

}  // namespace

Settings& settings() {
  static Settings current = environment_settings();
  return current;
}

}  // namespace apprentice::simt::emu
