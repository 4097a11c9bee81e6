// kfs chunkserver add, label, cordon, uncordon, remove, settle
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"
#include "cli/confirm.h"
#include "common/uuid.h"

namespace kfs::cli {
namespace {

struct ChunkserverArgs {
  std::string id;
  std::vector<std::string> labels, remove;
  bool lost = false, yes = false;
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
                           if (!IsUuid(args->id))
                             return Status(EINVAL, fmt::format("'{}' is no uuid: the chunkserver's log tells "
                                                               "its own when it is started",
                                                               args->id));
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

// A label, so that it is seen wherever chunkservers are listed.
void AddCordon(CLI::App& chunkserver, GlobalOptions& global, bool on) {
  auto args = std::make_shared<ChunkserverArgs>();
  CLI::App* command = chunkserver.add_subcommand(
      on ? "cordon" : "uncordon",
      on ? "Place nothing new on a chunkserver; what is on it can be read and written."
         : "Place new chunks on it again.");
  command->fallthrough();
  AddChunkserverArgument(command, global, &args->id);
  MakeChangeCommand(command, global,
                    {.build =
                         [args, on](pb::Change* change) {
                           auto* label = change->mutable_label_chunkserver();
                           label->set_uuid(args->id);
                           if (on) {
                             (*label->mutable_set())["cordoned"] = "yes";
                           } else {
                             label->add_remove("cordoned");
                           }
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
}

// By any of the names that it may be given, as the metaserver will understand it (meta::ResolveChunkserver): a
// number is that number, whoever's uuid begins with it. What several fit is refused there.
const pb::ClusterStatusReply::Chunkserver* Named(const pb::ClusterStatusReply& status,
                                                 const std::string& id) {
  const pb::ClusterStatusReply::Chunkserver* only = nullptr;
  int fit = 0;
  for (const auto& c : status.chunkserver()) {
    if (std::to_string(c.id()) == id || c.uuid() == id) return &c;
    const bool begins = id.size() >= 4 && c.uuid().starts_with(id);
    if (!begins && c.address() != id && !c.address().starts_with(id + ":")) continue;
    only = &c;
    ++fit;
  }
  return fit == 1 ? only : nullptr;
}

// Leaves in *words what is to be said of one that is up when it has been removed. An error: nobody is
// reached.
Status LookIfItRuns(AdminConnection& admin, const std::string& id, std::string* words) {
  auto status = admin.Call<rpc::ClusterStatus>({});
  if (!status.ok()) return admin.unreachable() ? status.status() : Status();
  const auto* c = Named(*status, id);
  if (c == nullptr || !c->up()) return {};
  auto conf = admin.Call<rpc::ConfShow>({});
  if (!conf.ok()) return {};
  const auto& set = conf->conf().option();
  const auto admission = set.find("chunkserver-admission");
  *words =
      admission != set.end() && admission->second == "command"
          ? fmt::format("it still runs at {}, and is refused until 'kfs chunkserver add' lets it in again\n",
                        c->address())
          : fmt::format(
                "it still runs at {}: unless it has a key, which ends with this, it is taken in again "
                "at once, under\nanother number. To be rid of it stop its daemon, then remove it again\n",
                c->address());
  return {};
}

// What is known of it: the status, which has what it told last. Leaves its number in *number, if it has one.
Status ConfirmLost(AdminConnection& admin, const ChunkserverArgs& args, uint64_t* number) {
  const std::string& id = args.id;
  auto status = admin.Call<rpc::ClusterStatus>({});
  if (!status.ok()) return args.yes ? Status() : status.status();
  std::string chunks = "Whatever chunks it held are lost", files;
  if (const auto* c = Named(*status, id); c != nullptr) {
    *number = c->id();
    if (c->up())
      return Status(EBUSY, fmt::format("chunkserver {} ({}) is up: --lost is for one that will never be seen "
                                       "again. Stop its daemon first",
                                       c->id(), c->address()));
    if (c->capacity() != 0)
      chunks = fmt::format("It held {} chunk{} when it was last heard of; they are lost", c->chunks(),
                           c->chunks() == 1 ? "" : "s");
    files = fmt::format(" ('kfs chunkserver files {}' lists them, also afterwards)", c->id());
  }
  if (args.yes) return {};
  return Confirm(
      {fmt::format(
           "{}, unless it registers again with its disks: reading files that had chunks there{} fails "
           "with EIO. Type {} to go on:",
           chunks, files, id),
       id, "nothing was removed"});
}

std::string AfterLost(uint64_t number) {
  return fmt::format(
      "'kfs chunkserver files {0}' lists the files that had chunks there. 'kfs health' speaks of them once "
      "they are\ncounted, which takes some seconds, until they are removed or overwritten, or 'kfs "
      "chunkserver settle {0}' says that it is known\n",
      number);
}

void AddRemove(CLI::App& chunkserver, GlobalOptions& global) {
  auto args = std::make_shared<ChunkserverArgs>();
  auto number = std::make_shared<uint64_t>(0);
  auto runs = std::make_shared<std::string>();
  CLI::App* command =
      chunkserver.add_subcommand("remove", "Forget a chunkserver that holds no chunks any more.");
  command->fallthrough();
  AddChunkserverArgument(command, global, &args->id);
  command->add_flag(
      "--lost", args->lost,
      "It will never be seen again: whatever chunks it held are given up with it; 'kfs chunkserver files' "
      "says of which files.");
  AddYes(command, &args->yes);
  MakeChangeCommand(
      command, global,
      {.build =
           [args](pb::Change* change) {
             change->mutable_remove_chunkserver()->set_uuid(args->id);
             change->mutable_remove_chunkserver()->set_lost(args->lost);
             return Status();
           },
       .confirm =
           [args, number, runs](AdminConnection& admin) {
             if (args->lost) return ConfirmLost(admin, *args, number.get());
             return LookIfItRuns(admin, args->id, runs.get());
           },
       .next = [args, number,
                runs](AdminConnection&) { return args->lost && *number != 0 ? AfterLost(*number) : *runs; }});
  command->footer(
      "Stop its daemon first: one that still runs registers again, and is taken in under another number, "
      "unless\n'kfs cluster get chunkserver-admission' is 'command'.");
}

void AddSettle(CLI::App& chunkserver, GlobalOptions& global) {
  auto number = std::make_shared<uint64_t>(0);
  CLI::App* command = chunkserver.add_subcommand(
      "settle", "Let status, health and metrics say no more what was lost with a removed chunkserver.");
  command->fallthrough();
  command->add_option("NUMBER", *number, "Its number, as the message about it says.")
      ->required()
      ->type_name("")
      ->check(CLI::Range(int64_t{1}, INT64_MAX).description(""));
  MakeChangeCommand(command, global,
                    {.build =
                         [number](pb::Change* change) {
                           change->mutable_settle_chunkserver()->set_id(*number);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
  command->footer("Its files stay as they are; 'kfs chunkserver files NUMBER' goes on listing them.");
}

}  // namespace

void AddChunkserverChangeCommands(CLI::App& chunkserver, GlobalOptions& global) {
  AddAdd(chunkserver, global);
  AddLabel(chunkserver, global);
  AddCordon(chunkserver, global, true);
  AddCordon(chunkserver, global, false);
  AddRemove(chunkserver, global);
  AddSettle(chunkserver, global);
}

}  // namespace kfs::cli
