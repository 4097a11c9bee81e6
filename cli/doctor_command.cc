// kfs doctor
#include <CLI/CLI.hpp>
#include <cerrno>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/doctor/doctor.h"
#include "cli/doctor/gather.h"
#include "cli/output.h"
#include "cli/waiting.h"

namespace kfs::cli {
namespace {

int RunDoctor(const GlobalOptions& global, const std::string& what) {
  auto here = Waiting().For(std::async(std::launch::async, [&] { return doctor::Gather(global, what); }), [] {
    return std::string("servers and mounts to answer (a few seconds, or --timeout)");
  });
  // As with kfs health: a check that cannot run is no good sign.
  if (!here.ok()) return Report(here.status(), here.status().err() == ENOENT ? kNotFound : kUsage);
  const doctor::Findings findings = doctor::Diagnose(*here);
  if (global.json)
    PrintJson(doctor::DoctorJson(findings));
  else
    Print(doctor::DoctorText(findings));
  return doctor::ExitCodeOf(doctor::Worst(findings));
}

}  // namespace

void AddDoctorCommand(CLI::App& app, GlobalOptions& global) {
  auto what = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "doctor", "Look for what makes a mount slow or wrong on this machine, and say what to do.");
  command->fallthrough();
  CLI::Option* option = command->add_option(
      "WHAT", *what,
      "A mount point, or HOST[:PORT]:/VOLUME. Default: all KFS mounts of this machine, and the cluster.");
  option->type_name("");
  global.names[option] = Names::kFile;
  command->footer(
      "One line a check: what was found and, when it is not well, what to do. Looked at are the kernel and\n"
      "its FUSE, the programs that mounting needs, options and state of the mounts, limits of memory and\n"
      "files, clocks, how quickly each server answers from here, room, and what 'kfs health' says. Servers\n"
      "that do not answer cost a few seconds (or --timeout). A mount's own key is enough to look at that\n"
      "mount; what only administrators may ask is said to be so.\n"
      "\n"
      "Examples:\n"
      "  kfs doctor                                  this machine and its mounts\n"
      "  kfs doctor /mnt/data                        one mount, its servers and its volume\n"
      "  kfs doctor meta.example.org:/data           why can it not be mounted?\n"
      "\n"
      "Exit codes, as of 'kfs health': 0 all is well (or there are notes only), 1 a warning: it works, but\n"
      "slowly or not for long, 2 critical: something does not work. 4: no KFS volume is mounted there.");
  command->callback([&global, what] { global.run = [&global, what] { return RunDoctor(global, *what); }; });
}

}  // namespace kfs::cli
