#include <apprentice/tools/progress.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/core.h>

namespace apprentice::tools {
namespace {

constexpr int64_t kBarWidth = 24;
constexpr double kTerminalInterval = 0.1, kPlainInterval = 10;  // seconds

std::string clock_text(double seconds) {
  const auto whole = int64_t(seconds + 0.5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bar(int64_t done, int64_t total) {
  const auto full = size_t(total > 0 ? std::min(done, total) * kBarWidth / total : 0);
  return "[" + std::string(full, '#') + std::string(size_t(kBarWidth) - full, '.') + "]";
}

}  // namespace

ProgressPrinter::ProgressPrinter() : terminal_(isatty(STDERR_FILENO)) {}
ProgressPrinter::~ProgressPrinter() { finish(); }

void ProgressPrinter::update(const State& s) {
  const auto now = Clock::now();
  const bool fresh = s.what != what_;
  const double interval = terminal_ ? kTerminalInterval : kPlainInterval;
  const double since = std::chrono::duration<double>(now - last_).count();
  if (!fresh && s.done < s.total && since < interval) return;
  if (fresh) finish();
  what_ = s.what;
  last_ = now;
  const std::string text =
      fmt::format("{} {}/{}  {:.0f} images/s  {} left  {}", s.what, s.done, s.total, s.images_per_s,
                  clock_text(s.seconds_left), s.detail);
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s %s", bar(s.done, s.total).c_str(), text.c_str());
    open_ = true;
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void ProgressPrinter::note(const std::string& line) {
  finish();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void ProgressPrinter::finish() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

}  // namespace apprentice::tools
