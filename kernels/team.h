#pragma once

namespace apprentice::kernels {

/// Threads of one OpenMP parallel region that call the same kernels with the same arguments, one
/// after the other: each thread does its part of a kernel's tasks and waits for the others at its
/// end. So a network of small layers needs one parallel region instead of one a layer, whose start
/// and end cost several times a barrier. Only kernels marked `Kernel::team` may be called like
/// this.
struct Team {
  int rank = 0;
  int size = 0;  ///< 0: this thread is in no team
};

/// The team of the calling thread.
const Team& this_team();

/// Makes the calling thread a member while it lives. All threads of the parallel region must be
/// members, of one `size` and each of a `rank` of its own.
class TeamMember {
 public:
  explicit TeamMember(Team team);
  ~TeamMember();
  TeamMember(const TeamMember&) = delete;
  TeamMember& operator=(const TeamMember&) = delete;
};

/// Threads that share the tasks of a kernel called here: the team's, one inside another parallel
/// region, else as many as OpenMP offers.
int task_threads();

}  // namespace apprentice::kernels
