// kfs volume create
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"

namespace kfs::cli {
namespace {

struct CreateArgs {
  std::string name, inline_max;
  std::vector<std::string> owners;
  uint64_t chunk_size = 0;
  uint32_t replicas = 0, number = 0;
  std::vector<std::string> labels;
};

Status BuildCreate(const CreateArgs& args, pb::Change* change) {
  auto* create = change->mutable_create_volume();
  create->set_name(args.name);
  if (args.owners.size() == 1) {
    create->set_owner(args.owners.front());
  } else {
    for (const std::string& owner : args.owners) create->add_candidate(owner);
  }
  if (!args.inline_max.empty()) (*create->mutable_option())["inline-max"] = args.inline_max;
  create->set_chunk_size(args.chunk_size);
  create->set_replicas(args.replicas);
  create->set_number(args.number);
  return ParseLabels(args.labels, create->mutable_label());
}

// A metaserver that answers: the volume's owner, or the one that has made the change. The first that was
// named may be down.
std::string MountFrom(AdminConnection& admin, const std::string& volume, const std::string& named) {
  const Result<pb::ConfShowReply> shown = admin.Call<rpc::ConfShow>({});
  if (!shown.ok()) return named;
  const auto of = [&](const std::string& uuid) {
    const auto& all = shown->conf().member();
    const auto it = std::ranges::find_if(all, [&](const auto& m) { return m.uuid() == uuid; });
    return it == all.end() ? named : it->address();
  };
  std::string owner;
  for (const auto& v : shown->conf().volume()) {
    if (v.name() == volume) owner = v.owner();
  }
  const bool there =
      std::ranges::any_of(shown->peer(), [&](const auto& p) { return p.uuid() == owner && p.connected(); });
  return of(there ? owner : shown->self());
}

}  // namespace

void AddVolumeCreateCommand(CLI::App& volume, GlobalOptions& global) {
  auto args = std::make_shared<CreateArgs>();
  CLI::App* command = volume.add_subcommand("create", "Make a volume, and start it.");
  command->fallthrough();
  command->add_option("NAME", args->name, "Letters, digits, '-', '_' and '.'; at most 63 bytes.")
      ->required()
      ->type_name("");
  command
      ->add_option("--chunk-size", args->chunk_size,
                   "Bytes of one chunk (64K to 1G; a power of two). Default: 64M.")
      ->type_name("SIZE")
      ->transform(CLI::AsSizeValue(false).description(""));
  command->add_option("--replicas", args->replicas, "Copies of each chunk. This version keeps one.")
      ->type_name("N");
  command
      ->add_option("--inline-max", args->inline_max,
                   "Files up to this size are stored beside their inode. This version stores none: only 0.")
      ->type_name("SIZE");
  global.names[command
                   ->add_option("--owner", args->owners,
                                "The metaserver that serves it; may be repeated: of these the one with the "
                                "fewest volumes, the first of several. Default: of all that are there.")
                   ->type_name("PEER")
                   ->allow_extra_args(false)
                   ->take_all()] = Names::kPeer;
  command
      ->add_option("--number", args->number,
                   "The number of a volume that only metaservers that were given up knew (kfs peer detach "
                   "--lost). It is made stopped, to be restored from a backup, or deleted.")
      ->type_name("N")
      ->check(CLI::Range(uint32_t{1}, UINT32_MAX).description(""));
  AddLabelOption(command, &args->labels);
  MakeChangeCommand(command, global,
                    {.build = [args](pb::Change* change) { return BuildCreate(*args, change); },
                     .confirm = nullptr,
                     .next =
                         [&global, args](AdminConnection& admin) {
                           if (args->number != 0)
                             return fmt::format("restore it: kfs volume restore {} FILE\n", args->name);
                           return fmt::format("mount it: kfs mount {}:/{} DIRECTORY\n",
                                              MountFrom(admin, args->name, global.metaservers.front()),
                                              args->name);
                         }});
}

}  // namespace kfs::cli
