#pragma once

#include <functional>

#include <CLI/App.hpp>

#include <apprentice/distill/recipe.h>

namespace apprentice::tools {

/// The options and the run of a verb that carries out a recipe. `adjust` fits the recipe to the
/// verb before it is checked; `more_options` adds options of that verb and may be empty.
std::function<int()> add_recipe_run(CLI::App& app,
                                    const std::function<void(CLI::App&)>& more_options,
                                    const std::function<void(distill::Recipe&)>& adjust);

}  // namespace apprentice::tools
