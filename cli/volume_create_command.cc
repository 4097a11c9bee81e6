// kfs volume create
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

struct CreateArgs {
  std::string name;
  uint64_t chunk_size = 0;
  uint32_t replicas = 0;
};

int RunCreate(GlobalOptions& global, const CreateArgs& args) {
  pb::VolumeCreateRequest request;
  request.set_name(args.name);
  request.set_chunk_size(args.chunk_size);
  request.set_replicas(args.replicas);
  // Sent again after a lost answer, the command makes one volume, and says so once.
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/uuid"), id);
  request.set_request_id(id);
  int code = kOk;
  auto reply = CallOrReport<rpc::VolumeCreate>(global, request, &code);
  if (reply == nullptr) return code;
  if (global.json) {
    PrintJson(ToJson(reply->volume()));
  } else {
    Print(fmt::format("volume {} is made; mount it: kfs mount {}:/{} DIRECTORY\n", args.name,
                      global.metaservers.front(), args.name));
  }
  return kOk;
}

}  // namespace

void AddVolumeCreateCommand(CLI::App& volume, GlobalOptions& global) {
  auto args = std::make_shared<CreateArgs>();
  CLI::App* command = volume.add_subcommand("create", "Make a volume.");
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
  command->callback([&global, args] { global.run = [&global, args] { return RunCreate(global, *args); }; });
}

}  // namespace kfs::cli
