#include <memory>

#include <apprentice/base/unit.h>
#include <apprentice/tools/run_verb.h>
#include <apprentice/tools/verb.h>

APPRENTICE_UNIT(distill) {
  using namespace apprentice;
  tools::verbs().add(
      "distill",
      {"Train an apprentice under its teacher, by a recipe", [](CLI::App& app) {
         auto control = std::make_shared<bool>(false);
         const auto options = [control](CLI::App& verb) {
           verb.add_flag("--control", *control,
                         "The same run, seed and data order without the teacher: beta * CE only");
         };
         return tools::add_recipe_run(app, options, [control](distill::Recipe& r) {
           check<ConfigError>(r.distill.method != "none",
                              "distill.method is \"none\" in this recipe: use the verb train");
           if (*control) r.distill.control = true;
         });
       }});
}
