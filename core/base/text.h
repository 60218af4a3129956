#pragma once

#include <string>
#include <vector>

namespace apprentice {

/// The names joined by `separator`.
std::string join(const std::vector<std::string>& names, const std::string& separator);
/// " (did you mean 'x'?)" for the candidate with the fewest edits, or "" if none is near.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& candidates);
/// Does `text` match `pattern`, in which * stands for any run of characters?
bool matches(const std::string& pattern, const std::string& text);

}  // namespace apprentice
