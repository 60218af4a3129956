#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace apprentice {

/// Sizes of a dense row-major tensor, at most kMaxRank of them; a scalar has none.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes);
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  int64_t numel() const;
  /// Size of `axis`; negative axes count from the end. ShapeError if there is no such axis.
  int64_t size(int axis) const;
  int64_t operator[](int axis) const { return sizes_[size_t(axis)]; }
  int64_t& operator[](int axis) { return sizes_[size_t(axis)]; }
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  void push_back(int64_t size);
  /// "[2, 3]"
  std::string str() const;

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

/// Shape of NumPy broadcasting of a and b; ShapeError naming `op` and both shapes if there is none.
Shape broadcast(const Shape& a, const Shape& b, const char* op);

}  // namespace apprentice
