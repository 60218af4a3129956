#include <apprentice/tools/run_program.h>

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>

#include <apprentice/base/error.h>
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

/// Did who reads our results go (`| head`)? That is no news to them.
bool reader_left() {
  pollfd out{STDOUT_FILENO, 0, 0};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
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
    const int code = run.at(app.get_subcommands().front())();
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return code;
    check<IoError>(reader_left(), "stdout: the result could not be written");
    return kIo;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "apprentice: %s\n", error.what());
    return exit_code_of(error);
  }
}

}  // namespace apprentice::tools
