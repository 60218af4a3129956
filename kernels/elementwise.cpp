#include <apprentice/kernels/elementwise.h>

#include <apprentice/base/error.h>

namespace apprentice::kernels {
namespace {

/// Step in elements along each axis of y, 0 where the shape has one element or no such axis.
std::array<int64_t, Shape::kMaxRank> steps_under(const Shape& shape, const Shape& y) {
  std::array<int64_t, Shape::kMaxRank> steps{};
  int64_t step = 1;
  for (int i = 1; i <= shape.rank(); ++i) {
    const int64_t size = shape[shape.rank() - i];
    steps[size_t(y.rank() - i)] = size == 1 ? 0 : step;
    step *= size;
  }
  return steps;
}

}  // namespace

BroadcastPlan plan_broadcast(const Shape& a, const Shape& b, const Shape& y) {
  check<ShapeError>(broadcast(broadcast(a, b, "broadcast"), y, "broadcast") == y,
                    "broadcast: shapes {} and {} do not broadcast to {}", a.str(), b.str(),
                    y.str());
  const auto a_steps = steps_under(a, y), b_steps = steps_under(b, y);
  BroadcastPlan plan;
  const auto append = [&](int64_t size, int64_t a_step, int64_t b_step) {
    const auto at = size_t(plan.rank++);
    plan.sizes[at] = size, plan.a_steps[at] = a_step, plan.b_steps[at] = b_step;
  };
  for (int axis = 0; axis < y.rank(); ++axis) {
    const auto i = size_t(axis);
    if (y[axis] == 1) continue;
    const auto top = size_t(plan.rank - 1);
    const bool merges = plan.rank > 0 && plan.a_steps[top] == a_steps[i] * y[axis] &&
                        plan.b_steps[top] == b_steps[i] * y[axis];
    if (merges) {
      plan.sizes[top] *= y[axis], plan.a_steps[top] = a_steps[i], plan.b_steps[top] = b_steps[i];
    } else {
      append(y[axis], a_steps[i], b_steps[i]);
    }
  }
  if (plan.rank == 0) append(1, 1, 1);
  return plan;
}

}  // namespace apprentice::kernels
