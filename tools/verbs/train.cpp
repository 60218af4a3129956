#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/tools/run_verb.h>
#include <apprentice/tools/verb.h>

APPRENTICE_UNIT(train) {
  using namespace apprentice;
  tools::verbs().add("train",
                     {"Train one network by a recipe, without a teacher", [](CLI::App& app) {
                        return tools::add_recipe_run(app, {}, [](distill::Recipe& r) {
                          check<ConfigError>(r.distill.method == "none",
                                             "distill.method is \"{}\" in this recipe: "
                                             "use the verb distill",
                                             r.distill.method);
                        });
                      }});
}
