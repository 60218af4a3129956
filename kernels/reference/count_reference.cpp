#include <algorithm>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/count.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

void count_correct(const CountCorrect<float>::Args& a) {
  const int64_t classes = a.logits.size(1);
  int64_t correct = 0;
  for (int64_t i = 0; i < a.logits.size(0); ++i) {
    const float* row = a.logits.data + i * classes;
    correct += std::max_element(row, row + classes) - row == a.labels(i);
  }
  a.count(0) = float(correct);
}

template <class T>
void count_codes(const typename CountCodes<T>::Args& a) {
  using Op = CountCodes<T>;
  const int64_t n = a.codes.numel(), parts = a.counts.numel();
  for (int64_t part = 0; part < parts; ++part) {
    int64_t count = 0;
    for (int64_t block = part; block < Op::blocks(n); block += parts) {
      const int64_t begin = block * Op::kEvery * Op::kBlock, end = std::min(begin + Op::kBlock, n);
      for (int64_t i = begin; i < end; ++i) {
        const compute_of<T> code = a.codes(i);
        count += code == a.top || code == a.low;
      }
    }
    a.counts(part) = float(count);
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(count_reference) {
  using namespace apprentice::kernels;
  add_reference<CountCorrect<float>>(count_correct);
  add_reference<CountCodes<float>>(count_codes<float>);
  add_reference<CountCodes<apprentice::Bf16>>(count_codes<apprentice::Bf16>);
}
