#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/json_internal.h>

namespace apprentice {
namespace {

/// Counts the depth and the keys of each open object; the tree is built only after it is content.
class Guard final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Guard(const std::string& what, int max_depth) : what_(what), max_depth_(size_t(max_depth)) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    check<DamagedFile>(keys_.back().insert(name).second, "{}: key '{}' stands twice in one object",
                       what_, name);
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    throw DamagedFile(
        fmt::format("{}: no valid JSON at byte {}: {}", what_, position, error.what()));
  }

 private:
  bool open() {
    check<DamagedFile>(keys_.size() < max_depth_, "{}: JSON deeper than {} levels", what_,
                       max_depth_);
    keys_.emplace_back();
    return true;
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  const std::string& what_;
  size_t max_depth_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& what, int max_depth) {
  // The parser takes a zero byte for the end of its input.
  check<DamagedFile>(text.find('\0') == text.npos, "{}: no valid JSON: a zero byte", what);
  Guard guard(what, max_depth);
  nlohmann::json::sax_parse(text.begin(), text.end(), &guard);
  return nlohmann::json::parse(text.begin(), text.end());
}

}  // namespace apprentice
