#pragma once

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/map.h>

namespace apprentice::kernels::dense {

/// Our own kernel for the rest of an operation whose main part a vendor library does.
template <class Op>
void launch_own(const typename Op::Args& args, Stream stream) {
  kernel_table<Op>().select(args, Preference{}, stream.device.kind).run(args, stream);
}

/// y[i,j] = F(a[i,j] or, with row_step 0, a[j]; b[i,j] or b[j] likewise), y [rows, columns].
template <class F>
void map_rows(const float* a, int64_t a_row_step, const float* b, int64_t b_row_step, float* y,
              int64_t rows, int64_t columns, Stream stream) {
  typename MapBinary<F, float>::Args args{};
  args.plan.rank = 2;
  args.plan.sizes = {rows, columns};
  args.plan.a_steps = {a_row_step, 1};
  args.plan.b_steps = {b_row_step, 1};
  args.a = a, args.b = b;
  args.y = {y, {rows * columns}};
  launch_own<MapBinary<F, float>>(args, stream);
}

}  // namespace apprentice::kernels::dense
