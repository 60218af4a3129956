#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace apprentice {

/// JSON of a file that may be hostile: DamagedFile, naming `what`, unless it is valid, at most
/// `max_depth` deep and without a duplicate key in any object. Private: takes part in no public
/// header.
nlohmann::json parse_json(std::string_view text, const std::string& what, int max_depth = 32);

}  // namespace apprentice
