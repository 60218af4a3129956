#include <apprentice/base/shape.h>

#include <algorithm>

#include <apprentice/base/error.h>

namespace apprentice {

Shape::Shape(std::initializer_list<int64_t> sizes)
    : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}

Shape::Shape(std::span<const int64_t> sizes) {
  for (int64_t size : sizes) push_back(size);
}

void Shape::push_back(int64_t size) {
  check<ShapeError>(rank_ < kMaxRank, "shape: more than {} axes", kMaxRank);
  check<ShapeError>(size >= 0, "shape: size {} of axis {} is negative", size, rank_);
  sizes_[size_t(rank_++)] = size;
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (int64_t size : *this) n *= size;
  return n;
}

int64_t Shape::size(int axis) const {
  const int at = axis < 0 ? axis + rank_ : axis;
  check<ShapeError>(at >= 0 && at < rank_, "shape {} has no axis {}", str(), axis);
  return sizes_[size_t(at)];
}

std::string Shape::str() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string(sizes_[size_t(i)]);
  return text + "]";
}

bool operator==(const Shape& a, const Shape& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

Shape broadcast(const Shape& a, const Shape& b, const char* op) {
  const int rank = std::max(a.rank(), b.rank());
  Shape y;
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const int64_t sa = ia < 0 ? 1 : a[ia], sb = ib < 0 ? 1 : b[ib];
    check<ShapeError>(sa == sb || sa == 1 || sb == 1, "{}: shapes {} and {} do not broadcast", op,
                      a.str(), b.str());
    y.push_back(sa == 1 ? sb : sa);
  }
  return y;
}

}  // namespace apprentice
