#include <apprentice/kernels/team.h>

#include <omp.h>

namespace apprentice::kernels {
namespace {

thread_local Team team;

}  // namespace

const Team& this_team() { return team; }

TeamMember::TeamMember(Team member) { team = member; }
TeamMember::~TeamMember() { team = Team(); }

int task_threads() {
  if (team.size > 0) return team.size;
  return omp_in_parallel() ? 1 : omp_get_max_threads();
}

}  // namespace apprentice::kernels
