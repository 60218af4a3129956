#include <apprentice/kernels/simt/emulator/report_internal.h>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

namespace apprentice::simt::emu {

std::string text(const Site& site) {
  const char* slash = std::strrchr(site.file, '/');
  return fmt::format("{}:{}", slash ? slash + 1 : site.file, site.line);
}

std::string describe(const Thread& t) {
  return fmt::format("block ({},{},{}) thread ({},{},{})", t.block.x, t.block.y, t.block.z,
                     t.thread.x, t.thread.y, t.thread.z);
}

bool same(const Site& a, const Site& b) {
  return a.line == b.line && std::strcmp(a.file, b.file) == 0;
}

void throw_fault(const Site& site, const std::string& message) {
  const std::string who = current_thread ? describe(*self()) : "host";
  throw Fault(fmt::format("{}: {} [{}]", text(site), message, who));
}

void remember_fault(const std::string& message) {
  if (engine->failed) return;
  engine->failed = true;
  engine->message = message;
  if (current_thread) engine->message += " [" + describe(*self()) + "]";
}

namespace {

std::deque<Site>& places() {
  static std::deque<Site> sites;
  return sites;
}

constexpr std::string_view place_opens = "{place ";

std::string quoted_program() {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  return n > 0 ? "'" + std::string(path, size_t(n)) + "'" : "";
}

/// The innermost inlined frame of a code address that is not one of our own headers.
std::string source_line(const void* code) {
  Dl_info info;
  if (!dladdr(code, &info)) return "an unknown place";
  const size_t offset = size_t(static_cast<const char*>(code) - static_cast<char*>(info.dli_fbase));
  const auto command =
      fmt::format("addr2line -i -e {} {:#x} 2>/dev/null", quoted_program(), offset - 1);
  std::string found = fmt::format("+{:#x}", offset);
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return found;
  char line[1024];
  bool ours = true;
  while (ours && fgets(line, sizeof line, pipe)) {
    std::string frame = line;
    if (frame[0] == '?') continue;
    ours = frame.find("/simt/emulated/") != std::string::npos;
    frame.erase(0, frame.rfind('/') + 1);
    found = frame.substr(0, frame.find_first_of(" \n"));
  }
  pclose(pipe);
  return found;
}

}  // namespace

const void* place_of(const Site& site) {
  for (const Site& known : places())
    if (same(known, site)) return &known;
  places().push_back(site);
  return &places().back();
}

std::string place_text(const void* place) { return fmt::format("{}{}}}", place_opens, place); }

std::string resolve_places(std::string message) {
  for (size_t at; (at = message.find(place_opens)) != std::string::npos;) {
    const size_t end = message.find('}', at);
    const auto value = std::strtoull(message.c_str() + at + place_opens.size(), nullptr, 16);
    const void* place = reinterpret_cast<const void*>(value);
    std::string name;
    for (const Site& known : places())
      if (&known == place) name = text(known);
    if (name.empty()) name = source_line(place);
    message.replace(at, end - at + 1, name);
  }
  return message;
}

}  // namespace apprentice::simt::emu
