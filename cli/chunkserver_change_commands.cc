// kfs chunkserver add, label, remove
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"

namespace kfs::cli {
namespace {

struct ChunkserverArgs {
  std::string id;
  std::vector<std::string> labels, remove;
  bool lost = false;
};

void AddAdd(CLI::App& chunkserver, GlobalOptions& global) {
  auto args = std::make_shared<ChunkserverArgs>();
  CLI::App* command = chunkserver.add_subcommand("add", "Make a chunkserver known to the cluster.");
  command->fallthrough();
  command->add_option("UUID", args->id, "Its uuid, as its log tells it.")->required()->type_name("");
  AddLabelOption(command, &args->labels);
  MakeChangeCommand(command, global,
                    {.build =
                         [args](pb::Change* change) {
                           change->mutable_add_chunkserver()->set_uuid(args->id);
                           return ParseLabels(args->labels,
                                              change->mutable_add_chunkserver()->mutable_label());
                         },
                     .confirm = nullptr,
                     .next = nullptr});
}

Status BuildLabel(const ChunkserverArgs& args, pb::Change* change) {
  auto* label = change->mutable_label_chunkserver();
  label->set_uuid(args.id);
  for (const std::string& name : args.remove) label->add_remove(name);
  if (args.labels.empty() && args.remove.empty())
    return Status(EINVAL, "which label? (NAME=VALUE sets one, --remove NAME takes one away)");
  return ParseLabels(args.labels, label->mutable_set());
}

void AddLabel(CLI::App& chunkserver, GlobalOptions& global) {
  auto args = std::make_shared<ChunkserverArgs>();
  CLI::App* command = chunkserver.add_subcommand("label", "Set or take away labels of a chunkserver.");
  command->fallthrough();
  AddChunkserverArgument(command, global, &args->id);
  command
      ->add_option(
          "LABEL", args->labels,
          "NAME=VALUE; several are allowed. host and rack are failure domains, any other is for people.")
      ->type_name("");
  command->add_option("--remove", args->remove, "The name of a label to take away; may be repeated.")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->take_all();
  MakeChangeCommand(command, global,
                    {.build = [args](pb::Change* change) { return BuildLabel(*args, change); },
                     .confirm = nullptr,
                     .next = nullptr});
}

void AddRemove(CLI::App& chunkserver, GlobalOptions& global) {
  auto args = std::make_shared<ChunkserverArgs>();
  CLI::App* command =
      chunkserver.add_subcommand("remove", "Forget a chunkserver that holds no chunks any more.");
  command->fallthrough();
  AddChunkserverArgument(command, global, &args->id);
  command->add_flag("--lost", args->lost,
                    "It will never be seen again: whatever chunks it held are given up with it.");
  MakeChangeCommand(command, global,
                    {.build =
                         [args](pb::Change* change) {
                           change->mutable_remove_chunkserver()->set_uuid(args->id);
                           change->mutable_remove_chunkserver()->set_lost(args->lost);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
  command->footer(
      "Stop its daemon first: one that still runs registers again, and is taken in under another number, "
      "unless\n'kfs cluster get chunkserver-admission' is 'command'.");
}

}  // namespace

void AddChunkserverChangeCommands(CLI::App& chunkserver, GlobalOptions& global) {
  AddAdd(chunkserver, global);
  AddLabel(chunkserver, global);
  AddRemove(chunkserver, global);
}

}  // namespace kfs::cli
