#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/requantize.cuh>

namespace apprentice {
namespace {

using namespace kernels;
using testing::Both;

/// Numbers over `by`: multiples of 1 / 8, so that codes fall on halves as well.
std::vector<float> parts(size_t n, int low, int high, float by, unsigned seed) {
  auto x = testing::random_integers<float>(n, low, high, seed);
  for (float& v : x) v /= by;
  return x;
}

template <class T>
void check(int64_t m, int64_t c, bool two_steps, bool shortcut) {
  using Code = typename Requantize<T>::Code;
  CAPTURE(m, c, two_steps, shortcut);
  const std::array<int64_t, 2> sizes{m, c};
  const std::array<int64_t, 1> channels{c};
  const auto n = size_t(m * c);
  Both<T> acc(testing::random_integers<T>(n, -2000, 2000, 1));
  Both<T> negative(testing::random_integers<T>(n, 0, 300, 2));
  Both<Code> residual(testing::random_integers<Code>(n, 0, 255, 3)), y{std::vector<Code>(n)};
  Both<float> a(parts(size_t(c), 1, 9, 8, 4)), a_negative(parts(size_t(c), 1, 9, 8, 5));
  Both<float> b(parts(size_t(c), -99, 99, 8, 6));
  const auto args = [&](auto view) {
    typename Requantize<T>::Args r;
    r.acc = view(acc, sizes), r.y = view(y, sizes);
    r.epilogue.a = view(a, channels), r.epilogue.b = view(b, channels);
    if (two_steps) r.acc_negative = view(negative, sizes);
    if (two_steps) r.epilogue.a_negative = view(a_negative, channels);
    if (shortcut) r.residual = view(residual, sizes);
    r.epilogue.r = 0.5f;
    r.epilogue.max_code = m % 2 ? 255 : 15;
    return r;
  };
  launch<Requantize<T>>(args([](auto& both, const auto& s) { return both.on_host(s); }));
  SIMT_NS::requantize<T>(args([](auto& both, const auto& s) { return both.on_device(s); }),
                         nullptr);
  CHECK(y.got() == y.host);
}

}  // namespace

KERNEL_TEST_CASE("codes of accumulators are the CPU's, of one step and two, with shortcut") {
  struct Size {
    int64_t m, c;
  };
  for (const auto& [m, c] :
       {Size{1, 1}, Size{15, 17}, Size{16, 16}, Size{257, 1}, Size{100, 33}, Size{0, 8}})
    for (const bool two_steps : {false, true})
      for (const bool shortcut : {false, true}) {
        check<float>(m, c, two_steps, shortcut);
        check<int32_t>(m, c, two_steps, shortcut);
      }
}

}  // namespace apprentice
