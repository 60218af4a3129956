#include <apprentice/tools/table.h>

#include <algorithm>

#include <apprentice/base/error.h>

namespace apprentice::tools {
namespace {

using Row = std::vector<std::string>;

std::vector<size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  return widths;
}

std::string padded(const std::string& text, size_t width) {
  return text + std::string(width - text.size(), ' ');
}

}  // namespace

void Table::add(Row row) {
  check(row.size() == rows_.front().size(), "table: {} cells in a row of {}", row.size(),
        rows_.front().size());
  rows_.push_back(std::move(row));
}

std::string Table::plain() const {
  const auto widths = widths_of(rows_);
  std::string text;
  for (const Row& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += padded(row[i], widths[i] + 2);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string Table::markdown() const {
  const auto widths = widths_of(rows_);
  std::string text;
  for (size_t r = 0; r < rows_.size(); ++r) {
    for (size_t i = 0; i < widths.size(); ++i) text += "| " + padded(rows_[r][i], widths[i]) + " ";
    text += "|\n";
    if (r > 0) continue;
    for (size_t width : widths) text += "|" + std::string(width + 2, '-');
    text += "|\n";
  }
  return text;
}

std::string Table::csv() const {
  std::string text;
  for (const Row& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      const bool quote = row[i].find_first_of(",\"\n") != std::string::npos;
      std::string cell = row[i];
      for (size_t at = 0; quote && (at = cell.find('"', at)) != std::string::npos; at += 2)
        cell.insert(at, 1, '"');
      text += (i ? "," : "") + (quote ? "\"" + cell + "\"" : cell);
    }
    text += "\n";
  }
  return text;
}

}  // namespace apprentice::tools
