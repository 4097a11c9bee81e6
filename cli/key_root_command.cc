// kfs key root: the next root secret. Asks nobody: it is made out of nothing, and files carry it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/key_arguments.h"
#include "cli/output.h"
#include "common/credentials.h"
#include "common/secret.h"

namespace kfs::cli {
namespace {

struct RootArgs {
  std::string after, output;
};

int RunRoot(const GlobalOptions& global, const RootArgs& args) {
  const Result<Credentials> present = Credentials::Read(args.after);
  if (!present.ok()) return Report(present.status());
  if (!present->is_root())
    return Report(
        Status(EINVAL, fmt::format("{} holds the key {}: run this where the cluster's root secret is, on "
                                   "a metaserver",
                                   args.after, present->key_id())));
  if (present->generation() >= kKeyGenerationMax)
    return Report(Status(ERANGE, "there is no later root secret"));
  const Credentials next = Credentials::Root(SystemRandom().Bytes(kKeySize), present->generation() + 1);
  Result<KeyFile> file = KeyFile::Make(args.output);
  if (!file.ok()) return Report(file.status());
  if (Status s = file->Write(next.FileText()); !s.ok()) return Report(s);
  if (global.json) {
    PrintJson({{"id", next.key_id()}, {"after", present->key_id()}, {"file", args.output}});
  } else {
    Print(
        fmt::format("{} written: the root secret {}, after {}. Copy it, mode 0600, to every metaserver.\n"
                    "There, one after the other: secret-file names it, old-secret-file the present one.\n",
                    args.output, next.key_id(), present->key_id()));
  }
  return kOk;
}

}  // namespace

void AddKeyRootCommand(CLI::App& key, GlobalOptions& global) {
  auto args = std::make_shared<RootArgs>();
  args->after = "/etc/kfs/secret";
  CLI::App* command = key.add_subcommand("root", "Make the cluster's next root secret.");
  command->fallthrough();
  global.names[command->add_option("--after", args->after, "The present one. Default: /etc/kfs/secret.")
                   ->type_name("FILE")] = Names::kFile;
  global.names[command->add_option("-o,--output", args->output, "Where it goes: a new file of mode 0600.")
                   ->required()
                   ->type_name("FILE")] = Names::kFile;
  command->footer(
      "Nothing is asked of the cluster and nothing changes in it: metaservers go over when their options "
      "name\n"
      "the file (docs/security.md has the steps, 'kfs health' shows where one stands).");
  command->callback([&global, args] { global.run = [&global, args] { return RunRoot(global, *args); }; });
}

}  // namespace kfs::cli
