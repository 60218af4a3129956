#pragma once

#include <string>
#include <vector>

namespace apprentice::tools {

/// A table of text, printed aligned, as Markdown or as CSV. The first row is the heading.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) : rows_{std::move(heading)} {}
  /// Error unless it has as many cells as the heading.
  void add(std::vector<std::string> row);
  std::string plain() const;
  std::string markdown() const;
  std::string csv() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace apprentice::tools
