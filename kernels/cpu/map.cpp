#include <apprentice/kernels/map.h>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

template <class F, class T>
void map_unary_of(const typename MapUnary<F, T>::Args& args) {
  using C = compute_of<T>;
  const C a = args.a, b = args.b;
  if (args.grad_y)
    map_binary(args.grad_y, args.x, args.y,
               [a, b](C g, C v) { return T(g * F::template slope<C>(v, a, b)); });
  else
    map_unary(args.x, args.y, [a, b](C v) { return T(F::template value<C>(v, a, b)); });
}

template <class F, class T>
void map_binary_of(const typename MapBinary<F, T>::Args& args) {
  using C = compute_of<T>;
  map_binary(args.plan, args.a, args.b, args.y,
             [](C u, C v) { return T(F::template value<C>(u, v)); });
}

template <class Op>
void add(void (*run)(const typename Op::Args&)) {
  kernel_table<Op>().add({.name = fmt::format("{}_{}_cpu_simd", Op::name, Op::types),
                          .family = "simd",
                          .priority = 10,
                          .refuse = nullptr,
                          .run = [run](const typename Op::Args& args, Stream) { run(args); }});
}

template <class F>
void add_unary() {
  add<MapUnary<F, float>>(map_unary_of<F, float>);
  add<MapUnary<F, double>>(map_unary_of<F, double>);
  add<MapUnary<F, Bf16>>(map_unary_of<F, Bf16>);
}

template <class F, class... T>
void add_binary() {
  (add<MapBinary<F, T>>(map_binary_of<F, T>), ...);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(map) {
  using namespace apprentice;
  using namespace apprentice::kernels;
#define APPRENTICE_UNARY(name, value, slope) add_unary<functions::name>();
#define APPRENTICE_BINARY(name, value) \
  add_binary<functions::name, float, double, Bf16, int64_t, int32_t, int8_t, uint8_t>();
#include <apprentice/kernels/functions.inc>
#undef APPRENTICE_UNARY
#undef APPRENTICE_BINARY
}
