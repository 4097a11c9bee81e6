// kfs volume backup, kfs volume restore
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/backup_file.h"
#include "cli/change.h"
#include "cli/confirm.h"
#include "cli/output.h"
#include "common/limits.h"
#include "common/uuid.h"

namespace kfs::cli {
namespace {

struct BackupArgs {
  std::string name, file;
  bool force = false, yes = false, dry_run = false;
};

// A connection to the volume's owner, which alone has its database. Null: exit with *code. `if_unknown`: said
// besides when there is no such volume.
std::unique_ptr<AdminConnection> OwnerOf(GlobalOptions& global, const std::string& name, int* code,
                                         const std::string& if_unknown = "") {
  auto any = OpenOrReport(global, code);
  if (any == nullptr) return nullptr;
  pb::LocateVolumeRequest where;
  where.set_name(name);
  auto located = any->Call<rpc::LocateVolume>(where);
  if (located.status().err() == ENOENT) located = Status(ENOENT, located.status().message() + if_unknown);
  auto found = ReplyOrReport(*any, std::move(located), code);
  if (found == nullptr) return nullptr;
  global.metaservers = {found->owner()};
  return OpenOrReport(global, code);
}

uint64_t SizeOf(const pb::ImageManifest& m) {
  uint64_t size = 0;
  for (const pb::ImageFile& f : m.file()) size += f.size();
  return size;
}

Status Fetch(AdminConnection& owner, const std::string& transfer, const pb::ImageFile& file,
             BackupWriter& out, const std::function<void(uint64_t)>& fetched) {
  KFS_RETURN_IF_ERROR(out.Begin(file.name(), file.size()));
  for (uint64_t offset = 0; offset < file.size();) {
    pb::ImageGetRequest request;
    request.mutable_read()->set_transfer(transfer);
    request.mutable_read()->set_name(file.name());
    request.mutable_read()->set_offset(offset);
    Buffer piece;
    auto reply = owner.Transfer<rpc::ImageGet>(request, {}, &piece);
    if (!reply.ok()) return reply.status();
    if (piece.empty()) return Status(EIO, fmt::format("{} is shorter than it was", file.name()));
    KFS_RETURN_IF_ERROR(out.Add(piece.view()));
    offset += piece.size();
    fetched(piece.size());
  }
  return out.End();
}

Status FetchAll(AdminConnection& owner, BackupWriter& out, pb::ImageManifest* manifest) {
  Progress progress("backing up");
  uint64_t done = 0;
  const uint64_t all = SizeOf(*manifest);
  const auto fetched = [&](uint64_t bytes) {
    done += bytes;
    progress.Tell(fmt::format("{} of {}", HumanBytes(done), HumanBytes(all)));
  };
  for (const pb::ImageFile& f : manifest->file())
    KFS_RETURN_IF_ERROR(Fetch(owner, manifest->transfer(), f, out, fetched));
  return out.Finish(manifest);
}

// Null, with *code 0: the metaserver that is asked is a member. One that was given up, and has come back, is
// asked itself: it knows of no owner but perhaps has what nobody else has.
std::unique_ptr<AdminConnection> GivenUp(GlobalOptions& global, int* code) {
  auto any = OpenOrReport(global, code);
  if (any == nullptr) return nullptr;
  auto conf = ReplyOrReport(*any, any->Call<rpc::ConfShow>({}), code);
  if (conf == nullptr) return nullptr;
  const auto& members = conf->conf().member();
  const bool member =
      std::any_of(members.begin(), members.end(), [&](const auto& m) { return m.uuid() == conf->self(); });
  return member ? nullptr : std::move(any);
}

int Backup(GlobalOptions& global, const BackupArgs& args) {
  // Before anything is asked for: whoever names a file that cannot be written hears of that first.
  auto out = BackupWriter::Open(args.file, args.force);
  if (!out.ok()) return Report(out.status());
  int code = kOk;
  auto owner = GivenUp(global, &code);
  if (owner == nullptr && code == kOk) owner = OwnerOf(global, args.name, &code);
  if (owner == nullptr) return code;
  pb::ImageGetRequest open;
  open.mutable_open()->set_volume(args.name);
  auto opened = ReplyOrReport(*owner, owner->Call<rpc::ImageGet>(open), &code);
  if (opened == nullptr) return code;
  pb::ImageManifest manifest = opened->manifest();
  const Status fetched = FetchAll(*owner, **out, &manifest);
  pb::ImageGetRequest close;
  close.mutable_close()->set_transfer(manifest.transfer());
  (void)owner->Call<rpc::ImageGet>(close);  // it goes by itself after a while
  if (!fetched.ok()) return Report(fetched, owner->unreachable() ? kUnreachable : kFailed);
  const uint64_t bytes = (*out)->bytes();
  if (args.file == "-") {  // stdout is the backup
    std::fprintf(stderr, "kfs: the names, attributes and layouts of volume %s, %s\n", args.name.c_str(),
                 HumanBytes(bytes).c_str());
  } else if (global.json) {
    PrintJson(
        {{"file", args.file}, {"volume", args.name}, {"bytes", bytes}, {"files", manifest.file_size()}});
  } else {
    Print(fmt::format("{}: the names, attributes and layouts of volume {}, {}\n", args.file, args.name,
                      HumanBytes(bytes)));
  }
  return kOk;
}

template <typename Fill>
Status Put(AdminConnection& owner, const std::string& transfer, Fill fill, Slices payload = {}) {
  pb::ImagePutRequest request;
  request.set_transfer(transfer);
  fill(request);
  return owner.Transfer<rpc::ImagePut>(request, std::move(payload), nullptr).status();
}

Status SendBackup(AdminConnection& owner, const BackupArgs& args, pb::ImageManifest manifest,
                  const std::string& transfer) {
  KFS_RETURN_IF_ERROR(Put(owner, transfer, [&](pb::ImagePutRequest& r) {
    r.mutable_begin()->set_volume(manifest.volume());
    r.mutable_begin()->set_bytes(SizeOf(manifest));
  }));
  Progress progress("restoring");
  uint64_t done = 0;
  auto sent = ReadBackup(args.file, kImagePiece,
                         [&](const std::string& name, uint64_t offset, std::string_view bytes) {
                           done += bytes.size();
                           progress.Tell(HumanBytes(done) + " sent");
                           Buffer piece = Buffer::Copy(bytes.data(), bytes.size());
                           return Put(
                               owner, transfer,
                               [&](pb::ImagePutRequest& r) {
                                 r.mutable_piece()->set_name(name);
                                 r.mutable_piece()->set_offset(offset);
                               },
                               std::move(piece));
                         });
  if (!sent.ok()) return sent.status();
  manifest.set_transfer(transfer);
  return Put(owner, transfer,
             [&](pb::ImagePutRequest& r) { *r.mutable_finish()->mutable_manifest() = manifest; });
}

int Restore(GlobalOptions& global, const BackupArgs& args) {
  // All of it is read and compared before anything is sent.
  auto manifest =
      ReadBackup(args.file, kImagePiece, [](const auto&, uint64_t, std::string_view) { return Status(); });
  if (!manifest.ok()) return Report(manifest.status());
  int code = kOk;
  auto owner = OwnerOf(
      global, args.name, &code,
      fmt::format("; if only metaservers that were given up knew it: kfs volume create {} --number {}",
                  args.name, manifest->volume()));
  if (owner == nullptr) return code;
  pb::VolumeInfoRequest which;
  which.set_name(args.name);
  auto info = ReplyOrReport(*owner, owner->Call<rpc::VolumeInfo>(which), &code);
  if (info == nullptr) return code;
  if (info->volume().id() != manifest->volume()) {
    return Report(Status(
        EINVAL,
        fmt::format("{} is of volume {} (number {}), and {} is number {}: chunks know their "
                    "volume by its number",
                    args.file, manifest->volume_name(), manifest->volume(), args.name, info->volume().id())));
  }
  if (info->volume().started()) {
    return Report(
        Status(EBUSY, fmt::format("volume {0} is started (stop it first: kfs volume stop {0})", args.name)));
  }
  pb::VolumeRestoreRequest request;
  request.set_name(args.name);
  if (args.dry_run) return RunChange<rpc::VolumeRestore>(global, request, true);
  if (!args.yes) {
    const Status s =
        Confirm({fmt::format("Volume {} becomes what it was at {}; what was made since is lost. Type its "
                             "name to go on:",
                             args.name, HumanTime(manifest->taken())),
                 args.name, "nothing was changed"});
    if (!s.ok()) return Report(s);
  }
  const std::string transfer = NewUuid(SystemRandom());
  request.set_transfer(transfer);
  if (Status s = SendBackup(*owner, args, *manifest, transfer); !s.ok())
    return Report(s, ExitCodeOf(s, owner->unreachable()));
  code = RunChange<rpc::VolumeRestore>(global, request, false);
  if (code == kFailed) (void)Put(*owner, transfer, [](pb::ImagePutRequest& r) { r.mutable_drop(); });
  if (code == kOk && !global.json) Print(fmt::format("start it: kfs volume start {}\n", args.name));
  return code;
}

}  // namespace

void AddVolumeBackupCommands(CLI::App& volume, GlobalOptions& global) {
  auto args = std::make_shared<BackupArgs>();
  CLI::App* backup = volume.add_subcommand(
      "backup",
      "Copy a volume's metadata (names, attributes, where the chunks are) into a file, while it is used.");
  backup->fallthrough();
  AddVolumeArgument(backup, global, &args->name);
  backup
      ->add_option(
          "FILE", args->file,
          "The file to be made: a tar archive with checksums, for its owner only. - is standard output; a "
          "device or a FIFO is written to.")
      ->required()
      ->type_name("");
  backup->add_flag("--force", args->force, "Replace FILE if it is there; overwrite a block device.");
  backup->callback([&global, args] { global.run = [&global, args] { return Backup(global, *args); }; });

  CLI::App* restore =
      volume.add_subcommand("restore", "Make a stopped volume what it was when a backup was made.");
  restore->fallthrough();
  AddVolumeArgument(restore, global, &args->name);
  restore->add_option("FILE", args->file, "The backup.")->required()->type_name("");
  AddYes(restore, &args->yes);
  AddDryRun(restore, &args->dry_run);
  restore->callback([&global, args] { global.run = [&global, args] { return Restore(global, *args); }; });
}

}  // namespace kfs::cli
