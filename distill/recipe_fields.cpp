#include <algorithm>
#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/base/text.h>
#include <apprentice/distill/recipe_fields_internal.h>

namespace apprentice::distill {

namespace {

template <class... Fn>
struct Overloaded : Fn... {
  using Fn::operator()...;
};
template <class... Fn>
Overloaded(Fn...) -> Overloaded<Fn...>;

#define APPRENTICE_FIELD(table, key, ...)                                    \
  {                                                                          \
#table, #key, [](Recipe & r) { return Slot(&r.table.key); }, __VA_ARGS__ \
  }

std::vector<Field> make_fields() {
  const Allowed any, filled{.filled = true}, not_negative{.min = 0}, positive{.min = 1};
  const Allowed above_zero{.min = 0, .above_min = true};
  const Allowed fraction{.min = 0, .max = 1, .below_max = true};
  const Allowed bits{.min = 1, .max = 32};
  constexpr bool kRunOnly = false;
  return {
      APPRENTICE_FIELD(model, arch, filled),
      APPRENTICE_FIELD(model, init, any),
      APPRENTICE_FIELD(teacher, arch, any),
      APPRENTICE_FIELD(teacher, weights, any),
      APPRENTICE_FIELD(teacher, logits, any),
      APPRENTICE_FIELD(data, name, filled),
      APPRENTICE_FIELD(data, augment, Allowed{.choices = {"none", "shift_mirror"}}),
      APPRENTICE_FIELD(data, resident, any, kRunOnly),
      APPRENTICE_FIELD(data, on_bad_sample, Allowed{.choices = {"error", "replace"}}),
      APPRENTICE_FIELD(data, train_images, not_negative),
      APPRENTICE_FIELD(data, test_images, not_negative),
      APPRENTICE_FIELD(quant, weights, filled),
      APPRENTICE_FIELD(quant, activations, filled),
      APPRENTICE_FIELD(quant, w_bits, bits),
      APPRENTICE_FIELD(quant, granularity, Allowed{.choices = {"layer", "channel"}}),
      APPRENTICE_FIELD(quant, a_bits, bits),
      APPRENTICE_FIELD(quant, keep, any),
      APPRENTICE_FIELD(quant, calibration_images, positive),
      APPRENTICE_FIELD(distill, method, filled),
      APPRENTICE_FIELD(distill, scheme, Allowed{.choices = {"A", "B", "C"}}),
      APPRENTICE_FIELD(distill, alpha, not_negative),
      APPRENTICE_FIELD(distill, beta, not_negative),
      APPRENTICE_FIELD(distill, gamma, not_negative),
      APPRENTICE_FIELD(distill, temperature, above_zero),
      APPRENTICE_FIELD(distill, teacher_receives_distill_grad, any),
      APPRENTICE_FIELD(distill, control, any),
      APPRENTICE_FIELD(train, epochs, positive),
      APPRENTICE_FIELD(train, batch, positive),
      APPRENTICE_FIELD(train, lr, above_zero),
      APPRENTICE_FIELD(train, schedule, filled),
      APPRENTICE_FIELD(train, warmup_steps, not_negative),
      APPRENTICE_FIELD(train, momentum, fraction),
      APPRENTICE_FIELD(train, nesterov, any),
      APPRENTICE_FIELD(train, weight_decay, not_negative),
      APPRENTICE_FIELD(train, label_smoothing, fraction),
      APPRENTICE_FIELD(train, precision, Allowed{.choices = {"f32", "tf32", "bf16"}}),
      APPRENTICE_FIELD(train, seed, not_negative),
      APPRENTICE_FIELD(train, workers, Allowed{.min = 0, .max = 256}, kRunOnly),
      APPRENTICE_FIELD(train, eval_batch, positive, kRunOnly),
      APPRENTICE_FIELD(train, log_every, positive, kRunOnly),
      APPRENTICE_FIELD(train, checkpoint_every, not_negative, kRunOnly),
      APPRENTICE_FIELD(train, keep_checkpoints, positive, kRunOnly),
  };
}

#undef APPRENTICE_FIELD

std::string bounds(const Allowed& allowed) {
  std::string text;
  if (std::isfinite(allowed.min))
    text += fmt::format(", {} {}", allowed.above_min ? "above" : "at least", allowed.min);
  if (std::isfinite(allowed.max))
    text += fmt::format(", {} {}", allowed.below_max ? "below" : "at most", allowed.max);
  return text;
}

bool within(double value, const Allowed& allowed) {
  return std::isfinite(value) && (allowed.above_min ? value > allowed.min : value >= allowed.min) &&
         (allowed.below_max ? value < allowed.max : value <= allowed.max);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

const std::vector<Field>& recipe_fields() {
  static const std::vector<Field> fields = make_fields();
  return fields;
}

const Field* find_field(const std::string& table, const std::string& key) {
  const auto& fields = recipe_fields();
  const auto it = std::find_if(fields.begin(), fields.end(), [&](const Field& field) {
    return field.table == table && field.key == key;
  });
  return it == fields.end() ? nullptr : &*it;
}

std::string expected(const Field& field) {
  Recipe recipe;
  const Allowed& allowed = field.allowed;
  return std::visit(
      Overloaded{[&](std::string*) -> std::string {
                   if (!allowed.choices.empty())
                     return "one of \"" + join(allowed.choices, "\", \"") + "\"";
                   return allowed.filled ? "a string that is not empty" : "a string";
                 },
                 [&](int64_t*) { return "an integer" + bounds(allowed); },
                 [&](double*) { return "a number" + bounds(allowed); },
                 [](bool*) -> std::string { return "true or false"; },
                 [](std::vector<std::string>*) -> std::string { return "a list of strings"; }},
      field.slot(recipe));
}

bool is_allowed(const Field& field, const Slot& slot) {
  const Allowed& allowed = field.allowed;
  return std::visit(
      Overloaded{[&](const std::string* text) {
                   const auto& all = allowed.choices;
                   if (allowed.filled && text->empty()) return false;
                   return all.empty() || std::find(all.begin(), all.end(), *text) != all.end();
                 },
                 [&](const int64_t* number) { return within(double(*number), allowed); },
                 [&](const double* number) { return within(*number, allowed); },
                 [](const bool*) { return true; },
                 [](const std::vector<std::string>*) { return true; }},
      slot);
}

std::string toml_value(const Slot& slot) {
  return std::visit(Overloaded{[](const std::string* text) { return quoted(*text); },
                               [](const int64_t* number) { return fmt::format("{}", *number); },
                               [](const double* number) { return fmt::format("{}", *number); },
                               [](const bool* on) -> std::string { return *on ? "true" : "false"; },
                               [](const std::vector<std::string>* list) {
                                 std::vector<std::string> parts;
                                 for (const std::string& item : *list)
                                   parts.push_back(quoted(item));
                                 return fmt::format("[{}]", join(parts, ", "));
                               }},
                    slot);
}

}  // namespace apprentice::distill
