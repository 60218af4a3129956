#include <apprentice/kernels/kernel_table.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

namespace apprentice {
void load_kernels_units();
}

namespace apprentice::kernels {
namespace {

bool tracing() {
  static const bool on = [] {
    const char* topics = std::getenv("APPRENTICE_TRACE");
    return topics && std::string_view(topics).find("dispatch") != std::string_view::npos;
  }();
  return on;
}

std::string list(const std::vector<Refusal>& refusals) {
  std::string text;
  for (const Refusal& r : refusals) text += "; " + r.kernel + " declined: " + r.reason;
  return text;
}

std::set<std::string>& noted_kernels() {
  static std::set<std::string> names;
  return names;
}

std::set<std::string>& noted_families() {
  static std::set<std::string> names;
  return names;
}

}  // namespace

Preference& default_preference() {
  static Preference preference;
  return preference;
}

void trace_choice(std::string_view op, const std::string& chosen,
                  const std::vector<Refusal>& refusals) {
  if (!tracing()) return;
  const std::string line = fmt::format("dispatch: {} -> {}{}\n", op, chosen, list(refusals));
  static std::mutex mutex;
  static std::set<std::string> printed;
  std::lock_guard lock(mutex);
  if (printed.insert(line).second) std::fputs(line.c_str(), stderr);
}

void refuse_all(std::string_view op, const Preference& preference, Device::Kind where,
                const std::vector<Refusal>& refusals) {
  throw DeviceError(fmt::format("{}: no kernel{} for {} can compute this{}", op,
                                preference.require ? " of family '" + preference.family + "'" : "",
                                name_of(where), list(refusals)));
}

void note_kernel(const std::string& name, const std::string& family) {
  noted_kernels().insert(name);
  noted_families().insert(family);
}

std::vector<std::string> kernel_names() {
  load_tables();
  return {noted_kernels().begin(), noted_kernels().end()};
}

std::vector<std::string> kernel_families() {
  load_tables();
  return {noted_families().begin(), noted_families().end()};
}

void load_tables() { load_kernels_units(); }

std::shared_ptr<void>& table_slot(const std::string& key) {
  static std::map<std::string, std::shared_ptr<void>> slots;
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  return slots[key];
}

}  // namespace apprentice::kernels
