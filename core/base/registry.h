#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/base/text.h>

namespace apprentice {

/// Named things of one kind. Adding is open to embedding programs too; a name is taken once.
template <class T>
class Registry {
 public:
  /// `kind` is what an error calls such a thing: "quantizer", "model".
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  void add(const std::string& name, T thing) {
    check(things_.emplace(name, std::move(thing)).second, "{} {} is registered twice", kind_, name);
  }
  bool has(const std::string& name) const { return things_.count(name) != 0; }
  /// ConfigError naming the nearest known name if there is none such.
  const T& get(const std::string& name) const {
    const auto it = things_.find(name);
    check<ConfigError>(it != things_.end(), "unknown {} '{}'{}; known: {}", kind_, name,
                       did_you_mean(name, names()), join(names(), ", "));
    return it->second;
  }
  /// In alphabetical order.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, thing] : things_) all.push_back(name);
    return all;
  }

 private:
  std::string kind_;
  std::map<std::string, T> things_;
};

}  // namespace apprentice
