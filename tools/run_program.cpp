#include <apprentice/tools/run_program.h>

#include <csignal>
#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>

#include <apprentice/tools/exit_code.h>
#include <apprentice/tools/verb.h>

namespace apprentice {
void load_tools_units();
}

namespace apprentice::tools {
namespace {

/// CLI11's own codes (100-127) all mean that the call was wrong.
int finish_parsing(const CLI::App& app, const CLI::ParseError& error) {
  return app.exit(error) == 0 ? kOk : kUsage;
}

}  // namespace

int run_program(int argc, char** argv) {
  // Writing beyond a file size limit or into a closed pipe is an error to report, not a death.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  load_tools_units();
  CLI::App app("Distil networks into ternary and 4-bit apprentices, pack them, run them.",
               "apprentice");
  app.set_version_flag("--version", APPRENTICE_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);

  std::map<const CLI::App*, std::function<int()>> run;
  for (const std::string& name : verbs().names()) {
    CLI::App* sub = app.add_subcommand(name, verbs().get(name).help);
    run[sub] = verbs().get(name).add_options(*sub);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return finish_parsing(app, error);
  }
  try {
    return run.at(app.get_subcommands().front())();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "apprentice: %s\n", error.what());
    return exit_code_of(error);
  }
}

}  // namespace apprentice::tools
