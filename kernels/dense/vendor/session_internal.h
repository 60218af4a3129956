#pragma once

#include <map>
#include <memory>
#include <mutex>

namespace apprentice::kernels::dense {

/// The Session(device) of this thread, made when first asked for. A thread that ends leaves its
/// sessions to later ones, and none is ever ended: at the end of a program the driver may be gone
/// before them.
template <class Session>
Session& session_of(int device) {
  struct Idle {
    std::mutex mutex;
    std::multimap<int, std::unique_ptr<Session>> sessions;
  };
  static Idle& idle = *new Idle;
  struct Held {
    std::map<int, std::unique_ptr<Session>> sessions;
    ~Held() {
      const std::lock_guard lock(idle.mutex);
      for (auto& [index, session] : sessions) idle.sessions.emplace(index, std::move(session));
    }
  };
  static thread_local Held held;
  auto& session = held.sessions[device];
  if (!session) {
    const std::lock_guard lock(idle.mutex);
    if (const auto found = idle.sessions.find(device); found != idle.sessions.end()) {
      session = std::move(found->second);
      idle.sessions.erase(found);
    }
  }
  if (!session) session = std::make_unique<Session>(device);
  return *session;
}

}  // namespace apprentice::kernels::dense
