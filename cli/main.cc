// The program `kfs`.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/man_page.h"
#include "cli/output.h"

namespace {

using kfs::cli::kUsage;

// kfs --man [PAGE[.SECTION]]: the page in roff. A daemon's page is made of its sample configuration, read
// from stdin; kfs-chunkserver.1 is about the commands of that name.
int PrintManPage(CLI::App& app, const std::string& name) {
  std::string page;
  if (name == "kfs-metaserver" || name == "kfs-chunkserver") {
    page = kfs::cli::DaemonManPage(name, std::string(std::istreambuf_iterator<char>(std::cin), {}));
  } else {
    page = kfs::cli::ManPage(app, name.ends_with(".1") ? name.substr(0, name.size() - 2) : name);
  }
  if (page.empty()) {
    std::fprintf(stderr, "kfs: there is no page '%s' (kfs, kfs-GROUP, mount, mount.kfs)\n", name.c_str());
    return kUsage;
  }
  kfs::cli::Print(page);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app;
  kfs::cli::GlobalOptions global;
  kfs::cli::BuildApp(app, global);
  if (argc >= 2 && std::strcmp(argv[1], "--man") == 0) return PrintManPage(app, argc > 2 ? argv[2] : "kfs");
  if (argc == 3 && std::strcmp(argv[1], "--complete") == 0) {
    for (const std::string& word : kfs::cli::Complete(app, global, argv[2])) kfs::cli::Print(word + "\n");
    return 0;
  }
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) argv[1] += 2;
  return kfs::cli::RunCommandLine(app, global, {argv + 1, argv + argc});
}
