#include <string>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

template <class T>
void requantize(const typename Requantize<T>::Args& args, Stream) {
  using Code = typename Requantize<T>::Code;
  const Epilogue& e = args.epilogue;
  for (int64_t i = 0; i < args.y.size(0); ++i) {
    for (int64_t c = 0; c < args.y.size(1); ++c) {
      const auto acc = float(args.acc(i, c));
      float t = args.acc_negative ? epilogue_value(e, c, acc, float(args.acc_negative(i, c)))
                                  : epilogue_value(e, c, acc);
      if (args.residual) t = add_shortcut(e, t, float(args.residual(i, c)));
      args.y(i, c) = Code(round_to_code(t, e.max_code));
    }
  }
}

template <class T>
void add() {
  const std::string types(Requantize<T>::types);
  kernel_table<Requantize<T>>().add(
      {"requantize_" + types + "_cpu_reference", "reference", 0, nullptr, requantize<T>});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(requantize_reference) {
  apprentice::kernels::add<float>();
  apprentice::kernels::add<int32_t>();
}
