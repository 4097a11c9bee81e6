// kfs key create, list, revoke, export; kfs chunkserver invite
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/arguments.h"
#include "cli/change.h"
#include "cli/key_arguments.h"
#include "cli/output.h"
#include "common/credentials.h"

namespace kfs::cli {
namespace {

using nlohmann::json;

TimeNs WallNow() { return SystemClock().WallNow(); }

struct CreateArgs {
  std::string name, volume, path, squash, expires, output, chunkserver;
  std::vector<std::string> from;
  bool read_only = false, admin = false, invitation = false, dry_run = false;
};

Status Build(const CreateArgs& args, pb::Change* change) {
  pb::Change::AddKey* add = change->mutable_add_key();
  pb::KeyConf* key = add->mutable_key();
  key->set_name(args.name);
  key->set_kind(args.invitation ? pb::KeyConf::CHUNKSERVER
                : args.admin    ? pb::KeyConf::ADMIN
                                : pb::KeyConf::MOUNT);
  key->set_uuid(args.chunkserver);
  if (!args.invitation && args.admin == !args.volume.empty())
    return Status(EINVAL,
                  "a key is either for mounts of a volume (--volume) or for an administrator (--admin)");
  add->set_volume(args.volume);
  Result<std::string> path = ParseKeyPath(args.path);
  if (!path.ok()) return path.status();
  key->set_path(*path);
  key->set_read_only(args.read_only);
  if (!args.squash.empty()) KFS_RETURN_IF_ERROR(ParseSquash(args.squash, key));
  for (const std::string& network : args.from) key->add_from(network);
  if (args.expires.empty()) return {};
  Result<TimeNs> expires = ParseExpiry(args.expires, WallNow());
  if (!expires.ok()) return expires.status();
  key->set_expires(*expires);
  return {};
}

std::string FileText(const pb::KeyExportReply& reply) {
  return Credentials::OfKey(reply.key_id(), reply.key(), reply.cluster_id(), reply.cluster_public_key())
      .FileText();
}

constexpr char kForMounts[] = "-o secretfile=FILE of a mount, --secret-file of kfs";
constexpr char kForChunkservers[] = "secret-file in the configuration of the chunkserver that joins";

// To the file that was made for it, or to stdout. What else is told goes to stderr then.
int Deliver(const GlobalOptions& global, const pb::KeyExportReply& key, std::optional<KeyFile>& file,
            json told) {
  const std::string text = FileText(key);
  if (file) {
    if (Status s = file->Write(text); !s.ok())
      return Report(Status(s.err(), s.message() + ": the key is made; 'kfs key export' writes it again"));
  }
  if (global.json) {
    told["id"] = key.key_id();
    if (file) {
      told["file"] = file->path();
    } else {
      told["text"] = text;
    }
    PrintJson(told);
  } else if (file) {
    Print(fmt::format("{} written; copy it, mode 0600, to where it is used: {}\n", file->path(),
                      key.key_id().starts_with("invitation/") ? kForChunkservers : kForMounts));
  } else {
    Print(text);
  }
  return kOk;
}

Status MakeFile(const std::string& output, std::optional<KeyFile>* file) {
  if (output.empty() || output == "-") return {};
  Result<KeyFile> made = KeyFile::Make(output);
  if (!made.ok()) return made.status();
  file->emplace(std::move(*made));
  return {};
}

int RunCreate(GlobalOptions& global, const CreateArgs& args) {
  if (global.timeout_s == 0) global.timeout_s = kChangeTimeoutS;
  pb::ConfChangeRequest request;
  if (Status s = Build(args, request.mutable_change()); !s.ok()) return Report(s, kUsage);
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  std::optional<KeyFile> file;
  if (Status s = args.dry_run ? Status() : MakeFile(args.output, &file); !s.ok()) return Report(s);
  *request.mutable_ctx() = NewContext(global, *admin, args.dry_run);
  Result<pb::ConfChangeReply> reply = admin->Change<rpc::ConfChange>(request);
  if (args.dry_run) return ReportChange(global, *admin, reply);
  auto made = ReplyOrReport(*admin, std::move(reply), &code);
  if (made == nullptr) return code;
  if (!global.json) std::fputs(ChangeText(*made).c_str(), file ? stdout : stderr);
  pb::KeyExportRequest exported;
  exported.set_name(args.name);
  auto key = ReplyOrReport(*admin, admin->Call<rpc::KeyExport>(exported), &code);
  if (key == nullptr) return code;
  return Deliver(global, *key, file, ChangeJson(*made));
}

void AddOutput(CLI::App* command, GlobalOptions& global, std::string* output) {
  global.names[command
                   ->add_option(
                       "-o,--output", *output,
                       "Where the key goes: a new file of mode 0600. Default, and '-': standard output.")
                   ->type_name("FILE")] = Names::kFile;
}

void AddFrom(CLI::App* command, std::vector<std::string>* from) {
  command
      ->add_option(
          "--from", *from,
          "A network that it may be used from (10.0.0.0/8, 192.168.1.7, 2001:db8::/32); may be repeated. "
          "Default: any.")
      ->type_name("CIDR")
      ->allow_extra_args(false)
      ->take_all();
}

void AddCreate(CLI::App& key, GlobalOptions& global) {
  auto args = std::make_shared<CreateArgs>();
  CLI::App* command =
      key.add_subcommand("create", "Make a key for mounts of a volume, or for an administrator.");
  command->fallthrough();
  command->add_option("NAME", args->name, "Letters, digits, '-', '_' and '.'; at most 63 bytes.")
      ->required()
      ->type_name("");
  global.names[command->add_option("--volume", args->volume, "The volume that it mounts, and no other.")
                   ->type_name("NAME")] = Names::kVolume;
  command
      ->add_option("--path", args->path,
                   "The directory of it that is all the mount sees. It need not be there yet.")
      ->type_name("DIRECTORY");
  command->add_flag("--read-only", args->read_only, "Nothing can be changed with it.");
  command
      ->add_option(
          "--squash", args->squash,
          "Who is somebody else to the servers: root, or all users of the mount. Default: nobody; the "
          "somebody: 65534:65534.")
      ->type_name("root|all[=UID:GID]");
  AddFrom(command, &args->from);
  command
      ->add_option(
          "--expires", args->expires,
          "When it ends, with what was mounted with it: 30d, 12h, 2027-01-31, 2027-01-31T12:00:00Z. Default: "
          "when it is revoked.")
      ->type_name("TIME");
  command->add_flag("--admin", args->admin, "For the kfs command: it may do all that the kfs command can.");
  AddOutput(command, global, &args->output);
  AddDryRun(command, &args->dry_run);
  command->callback([&global, args] { global.run = [&global, args] { return RunCreate(global, *args); }; });
}

struct ExportArgs {
  std::string name, output;
};

int RunExport(GlobalOptions& global, const ExportArgs& args) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  std::optional<KeyFile> file;
  if (Status s = MakeFile(args.output, &file); !s.ok()) return Report(s);
  pb::KeyExportRequest request;
  request.set_name(args.name);
  auto key = ReplyOrReport(*admin, admin->Call<rpc::KeyExport>(request), &code);
  if (key == nullptr) return code;
  return Deliver(global, *key, file, json::object());
}

void AddKeyArgument(CLI::App* command, std::string* name) {
  command->add_option("NAME", *name, "The key.")->required()->type_name("");
}

void AddExport(CLI::App& key, GlobalOptions& global) {
  auto args = std::make_shared<ExportArgs>();
  CLI::App* command = key.add_subcommand("export", "Write the file of a key again.");
  command->fallthrough();
  AddKeyArgument(command, &args->name);
  AddOutput(command, global, &args->output);
  command->footer("One that may be in wrong hands is revoked instead, and another one made.");
  command->callback([&global, args] { global.run = [&global, args] { return RunExport(global, *args); }; });
}

void AddRevoke(CLI::App& key, GlobalOptions& global) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = key.add_subcommand("revoke", "End a key for good, and what was mounted with it.");
  command->fallthrough();
  AddKeyArgument(command, name.get());
  command->footer(
      "Mounts that use it are cut off at once, and lose their locks and open files: their calls wait, as "
      "when no server "
      "answers,\nuntil they are unmounted (umount -l). A key made later under the same name is another one.");
  MakeChangeCommand(command, global,
                    {.build =
                         [name](pb::Change* change) {
                           change->mutable_revoke_key()->set_name(*name);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
}

const char* SquashName(pb::KeyConf::Squash squash) {
  return squash == pb::KeyConf::ROOT ? "root" : squash == pb::KeyConf::ALL ? "all" : "";
}

std::string VolumeName(const pb::ClusterConf& conf, const pb::KeyConf& key) {
  for (const pb::VolumeConf& v : conf.volume()) {
    if (v.id() == key.volume()) return v.name();
  }
  return "?";
}

bool Expired(const pb::KeyConf& key) { return key.expires() != 0 && key.expires() <= WallNow(); }

json KeyJson(const pb::ClusterConf& conf, const pb::KeyConf& k) {
  json out = {{"name", k.name()},
              {"serial", k.serial()},
              {"kind", k.kind() == pb::KeyConf::ADMIN         ? "admin"
                       : k.kind() == pb::KeyConf::CHUNKSERVER ? "invitation"
                                                              : "mount"},
              {"created_ns", k.created()},
              {"expires_ns", k.expires()},
              {"expired", Expired(k)},
              {"from", StringsJson(k.from())}};
  if (k.kind() == pb::KeyConf::MOUNT) {
    out["volume"] = VolumeName(conf, k);
    out["path"] = "/" + k.path();
    out["read_only"] = k.read_only();
    out["squash"] = SquashName(k.squash());
    out["squash_uid"] = k.squash_uid();
    out["squash_gid"] = k.squash_gid();
  }
  return out;
}

std::string RightsText(const pb::KeyConf& k) {
  std::string out = k.read_only() ? "read-only" : "";
  if (k.squash() != pb::KeyConf::NONE)
    out += fmt::format("{}{} is {}:{}", out.empty() ? "" : ", ", SquashName(k.squash()), k.squash_uid(),
                       k.squash_gid());
  return out.empty() ? "-" : out;
}

int RunList(GlobalOptions& global) {
  int code = kOk;
  auto reply = CallOrReport<rpc::ConfShow>(global, {}, &code);
  if (reply == nullptr) return code;
  const pb::ClusterConf& conf = reply->conf();
  if (global.json) {
    json keys = json::array();
    for (const pb::KeyConf& k : conf.key()) keys.push_back(KeyJson(conf, k));
    PrintJson(keys);
    return kOk;
  }
  Table table({"KEY", "OPENS", "RIGHTS", "FROM", "MADE", "EXPIRES"}, {});
  for (const pb::KeyConf& k : conf.key()) {
    const std::string opens = k.kind() == pb::KeyConf::ADMIN         ? "administration"
                              : k.kind() == pb::KeyConf::CHUNKSERVER ? "one chunkserver joins"
                              : k.path().empty()                     ? VolumeName(conf, k)
                                                                     : VolumeName(conf, k) + "/" + k.path();
    table.Add({k.name(), opens, RightsText(k),
               k.from().empty() ? "-" : fmt::format("{}", fmt::join(k.from(), " ")), HumanTime(k.created()),
               HumanTime(k.expires()) + (Expired(k) ? " (expired)" : "")});
  }
  Print(table.empty() ? "no key yet: 'kfs key create NAME --volume VOLUME' makes one\n" : table.Text());
  return kOk;
}

void AddList(CLI::App& key, GlobalOptions& global) {
  CLI::App* command = key.add_subcommand("list", "List the keys, and what each may.");
  command->fallthrough();
  command->footer("Keys themselves are not shown. What is mounted with which key: kfs status --json.");
  command->callback([&global] { global.run = [&global] { return RunList(global); }; });
}

}  // namespace

void AddChunkserverInviteCommand(CLI::App& chunkserver, GlobalOptions& global) {
  auto args = std::make_shared<CreateArgs>();
  args->invitation = true;
  args->expires = "1d";
  CLI::App* command =
      chunkserver.add_subcommand("invite", "Make a key by which one new chunkserver joins, once.");
  command->fallthrough();
  command->add_option("NAME", args->name, "Letters, digits, '-', '_' and '.'; at most 63 bytes.")
      ->required()
      ->type_name("");
  AddFrom(command, &args->from);
  command
      ->add_option("--expires", args->expires,
                   "Until when it may join: 12h, 7d, 2027-01-31; at most 30 days. Default: 1d.")
      ->type_name("TIME");
  global.names
      [command
           ->add_option(
               "--for", args->chunkserver,
               "A chunkserver of the cluster that has the secret, to go over to a key of its own. Default: "
               "for one that is not there yet.")
           ->type_name("CHUNKSERVER")] = Names::kChunkserver;
  AddOutput(command, global, &args->output);
  AddDryRun(command, &args->dry_run);
  command->footer(
      "The file goes to the new machine, as secret-file of its chunkserver. At its first start the "
      "chunkserver "
      "gets\na key of its own for it and keeps that on its disks: the invitation is used up, and the machine "
      "never has\nthe cluster's secret. 'kfs chunkserver remove' ends the key. An invitation not used yet: "
      "'kfs key list', 'kfs key revoke NAME'.");
  command->callback([&global, args] { global.run = [&global, args] { return RunCreate(global, *args); }; });
}

void AddKeyCommands(CLI::App& key, GlobalOptions& global) {
  AddCreate(key, global);
  AddList(key, global);
  AddRevoke(key, global);
  AddExport(key, global);
}

}  // namespace kfs::cli
