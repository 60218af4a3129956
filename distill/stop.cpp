#include <apprentice/distill/stop.h>

#include <array>
#include <atomic>
#include <csignal>

namespace apprentice::distill {

namespace {

constexpr std::array<int, 4> kSignals = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
std::atomic<int> came{0};
std::atomic<bool> alive{false};
std::array<struct sigaction, kSignals.size()> before;

static_assert(std::atomic<int>::is_always_lock_free, "the handler may only touch lock-free state");

extern "C" void on_stop_signal(int signal) {
  if (signal == SIGINT && came.load() == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  came.store(signal);
}

}  // namespace

StopOnSignal::StopOnSignal() {
  check(!alive.exchange(true), "StopOnSignal: there is one already");
  came.store(0);
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &before[i]);
}

StopOnSignal::~StopOnSignal() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before[i], nullptr);
  alive.store(false);
}

std::string StopOnSignal::requested() {
  switch (came.load()) {
    case 0:
      return "";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    default:
      return "SIGUSR2";
  }
}

}  // namespace apprentice::distill
