#include <apprentice/distill/recipe.h>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/base/text.h>
#include <apprentice/distill/hash.h>
#include <apprentice/distill/method.h>
#include <apprentice/distill/recipe_fields_internal.h>
#include <apprentice/nn/schedule.h>

namespace apprentice::distill {

namespace {

constexpr size_t kMaxRecipeBytes = size_t(1) << 20;

/// Puts a node into the slot; false if it is of another type.
bool read(const toml::node& node, const Slot& slot) {
  if (auto* text = std::get_if<std::string*>(&slot)) {
    if (!node.is_string()) return false;
    **text = node.as_string()->get();
  } else if (auto* integer = std::get_if<int64_t*>(&slot)) {
    if (!node.is_integer()) return false;
    **integer = node.as_integer()->get();
  } else if (auto* number = std::get_if<double*>(&slot)) {
    if (!node.is_number()) return false;
    **number = *node.value<double>();
  } else if (auto* flag = std::get_if<bool*>(&slot)) {
    if (!node.is_boolean()) return false;
    **flag = node.as_boolean()->get();
  } else {
    const toml::array* array = node.as_array();
    if (!array) return false;
    std::vector<std::string> list;
    for (const toml::node& item : *array) {
      if (!item.is_string()) return false;
      list.push_back(item.as_string()->get());
    }
    *std::get<std::vector<std::string>*>(slot) = std::move(list);
  }
  return true;
}

std::string text_of(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const Field& field : recipe_fields())
    if (names.empty() || names.back() != field.table) names.push_back(field.table);
  return names;
}

/// `where` opens the message: "recipe.toml:3" or "--set train.lr=x".
void assign(Recipe& recipe, const Field& field, const toml::node& node, const std::string& where) {
  const Slot slot = field.slot(recipe);
  check<ConfigError>(read(node, slot) && is_allowed(field, slot), "{}: {} is {}, expected {}",
                     where, field.name(), text_of(node), expected(field));
}

const Field& field_named(const std::string& table, const std::string& key,
                         const std::string& where) {
  const Field* field = find_field(table, key);
  check<ConfigError>(field != nullptr, "{}: unknown key '{}.{}'{}", where, table, key,
                     did_you_mean(table + "." + key, recipe_keys()));
  return *field;
}

void read_table(Recipe& recipe, const std::string& name, const toml::node& node,
                const std::string& where, const std::string& file) {
  const std::vector<std::string> tables = table_names();
  check<ConfigError>(std::find(tables.begin(), tables.end(), name) != tables.end(),
                     "{}: unknown table [{}]{}; known: {}", where, name, did_you_mean(name, tables),
                     join(tables, ", "));
  check<ConfigError>(node.is_table(), "{}: {} is {}, expected a table", where, name, text_of(node));
  for (const auto& [key, value] : *node.as_table()) {
    const std::string at = fmt::format("{}:{}", file, value.source().begin.line);
    assign(recipe, field_named(name, std::string(key.str()), at), value, at);
  }
}

/// The right side of an assignment as a TOML node; a bare word is a string.
toml::table parse_value(const std::string& value, bool want_string, const std::string& where) {
  const bool bare = want_string && (value.empty() || (value[0] != '"' && value[0] != '\''));
  toml::table table;
  if (bare) {
    table.insert("value", value);
    return table;
  }
  try {
    table = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    table.insert("value", value);
  }
  check<ConfigError>(table.size() == 1, "{}: expected one value", where);
  return table;
}

}  // namespace

Recipe parse_recipe(const std::string& text, const std::string& name) {
  Recipe recipe;
  toml::table root;
  try {
    root = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw ConfigError(
        fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
  }
  for (const auto& [key, node] : root)
    read_table(recipe, std::string(key.str()), node,
               fmt::format("{}:{}", name, node.source().begin.line), name);
  return recipe;
}

Recipe load_recipe(const std::string& path) {
  return parse_recipe(read_file(path, kMaxRecipeBytes), path);
}

void apply_set(Recipe& recipe, const std::string& assignment) {
  const std::string where = "--set " + assignment;
  const size_t equals = assignment.find('='), dot = assignment.find('.');
  check<ConfigError>(equals != std::string::npos && dot < equals, "{}: expected table.key=value",
                     where);
  const Field& field =
      field_named(assignment.substr(0, dot), assignment.substr(dot + 1, equals - dot - 1), where);
  const bool want_string = std::holds_alternative<std::string*>(field.slot(recipe));
  const toml::table value = parse_value(assignment.substr(equals + 1), want_string, where);
  Recipe changed = recipe;
  assign(changed, field, *value.get("value"), where);
  recipe = std::move(changed);
}

quant::Policy policy_of(const Recipe& recipe) {
  const Recipe::Quant& q = recipe.quant;
  quant::Policy policy;
  policy.layer = {.weights = q.weights,
                  .w_bits = int(q.w_bits),
                  .per_channel = q.granularity == "channel",
                  .activations = q.activations,
                  .a_bits = int(q.a_bits)};
  policy.keep = q.keep;
  return policy;
}

void check_recipe(const Recipe& recipe) {
  const quant::Policy policy = policy_of(recipe);
  if (policy.quantizes()) quant::validate(policy);
  methods().get(recipe.distill.method).teacher_need(recipe);
  nn::schedules().get(recipe.train.schedule);
}

std::string to_toml(const Recipe& recipe) {
  Recipe copy = recipe;
  std::string text, table;
  for (const Field& field : recipe_fields()) {
    if (field.table != table)
      text += fmt::format("{}[{}]\n", table.empty() ? "" : "\n", field.table);
    table = field.table;
    text += fmt::format("{} = {}\n", field.key, toml_value(field.slot(copy)));
  }
  return text;
}

std::string recipe_hash(const Recipe& recipe) {
  Recipe copy = recipe;
  std::string text;
  for (const Field& field : recipe_fields())
    if (field.changes_weights)
      text += fmt::format("{} = {}\n", field.name(), toml_value(field.slot(copy)));
  return hash_hex(std::as_bytes(std::span(text)));
}

std::vector<std::string> recipe_differences(const Recipe& there, const Recipe& here) {
  Recipe a = there, b = here;
  std::vector<std::string> differences;
  for (const Field& field : recipe_fields()) {
    const std::string x = toml_value(field.slot(a)), y = toml_value(field.slot(b));
    if (field.changes_weights && x != y)
      differences.push_back(fmt::format("{}: {} there, {} here", field.name(), x, y));
  }
  return differences;
}

std::vector<std::string> recipe_keys() {
  std::vector<std::string> keys;
  for (const Field& field : recipe_fields()) keys.push_back(field.name());
  return keys;
}

}  // namespace apprentice::distill
