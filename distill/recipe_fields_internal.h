#pragma once

#include <limits>
#include <string>
#include <variant>
#include <vector>

#include <apprentice/distill/recipe.h>

namespace apprentice::distill {

/// Where a key's value lies in a Recipe.
using Slot = std::variant<std::string*, int64_t*, double*, bool*, std::vector<std::string>*>;

/// Which values a key takes, beside its type.
struct Allowed {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  ///< min itself is not allowed
  bool below_max = false;
  bool filled = false;                    ///< a string that is not empty
  std::vector<std::string> choices = {};  ///< of a string; empty: any
};

/// One key of a recipe.
struct Field {
  std::string table, key;
  Slot (*slot)(Recipe& recipe);
  Allowed allowed = {};
  bool changes_weights = true;  ///< do the trained weights depend on it?

  std::string name() const { return table + "." + key; }
};

/// Every key, in the order of the file.
const std::vector<Field>& recipe_fields();
/// Null if there is no such key.
const Field* find_field(const std::string& table, const std::string& key);
/// "an integer, at least 1", ...
std::string expected(const Field& field);
/// Is the value that now stands in the slot allowed?
bool is_allowed(const Field& field, const Slot& slot);
/// The value in TOML's notation; floats read back to the same value.
std::string toml_value(const Slot& slot);

}  // namespace apprentice::distill
