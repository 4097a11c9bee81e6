// kfs chunkserver files: which files have chunks on a chunkserver, asked of the volumes' owners page by page.
// Printed as it comes, so that a list of any length takes no memory.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/admin_connection.h"
#include "cli/arguments.h"
#include "cli/output.h"
#include "cli/reports.h"
#include "cli/waiting.h"
#include "common/utf8.h"

namespace kfs::cli {

using nlohmann::json;
using ListedFile = pb::ChunkserverFilesReply::File;

std::string ListedPath(const std::string& path) {
  const bool utf8 = IsUtf8(path);
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\' || (byte >= 0x80 && !utf8)) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string ListedFileText(const std::string& volume, const ListedFile& file) {
  std::string where;
  switch (file.named()) {
    case ListedFile::PATH:
      where = (file.path().starts_with("...") ? "" : "/") + ListedPath(file.path());
      break;
    case ListedFile::DIRECTORY:
      where =
          fmt::format("/{}  (a file in this directory: find -inum {})", ListedPath(file.path()), file.ino());
      break;
    case ListedFile::NAMELESS:
      where =
          fmt::format("(inode {}: no path, it was removed and is still open, or about to go)", file.ino());
      break;
    default:
      where =
          fmt::format("(inode {}: one of several names of it was removed: find -inum {} shows the others)",
                      file.ino(), file.ino());
  }
  return fmt::format("{:>8}  {}:{}\n", file.chunks(), volume, where);
}

json ListedFileJson(const std::string& volume, const ListedFile& file) {
  const bool path = file.named() == ListedFile::PATH || file.named() == ListedFile::DIRECTORY;
  json out = {{"volume", volume},
              {"path", nullptr},
              {"named", file.named() == ListedFile::PATH        ? "path"
                        : file.named() == ListedFile::DIRECTORY ? "directory"
                        : file.named() == ListedFile::NAMELESS  ? "nameless"
                                                                : "unknown"},
              {"inode", file.ino()},
              {"chunks", file.chunks()},
              {"size", file.size()}};
  if (path) out["path"] = "/" + file.path();
  if (path && !IsUtf8(file.path())) out["path_hex"] = Hex("/" + file.path());
  return out;
}

namespace {

struct FilesArgs {
  std::string id, volume;
};

// Its number. One that was removed has nothing else.
Result<uint64_t> NumberOf(const pb::ConfShowReply& conf, const std::string& id) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error == std::errc() && end == id.data() + id.size()) {
    if (number != 0 && number <= conf.conf().next_chunkserver()) return number;
    return Status(ENOENT,
                  fmt::format("there has never been a chunkserver {} (see: kfs chunkserver list)", id));
  }
  std::vector<uint64_t> fit;
  for (const auto& c : conf.conf().chunkserver()) {
    bool fits = c.uuid() == id || (id.size() >= 4 && c.uuid().starts_with(id));
    for (const auto& s : conf.chunkserver())
      fits = fits || (s.id() == c.id() && (s.address() == id || s.address().starts_with(id + ":")));
    if (fits) fit.push_back(c.id());
  }
  if (fit.size() == 1) return fit.front();
  if (fit.size() > 1)
    return Status(EINVAL, fmt::format("{} chunkservers fit \"{}\": say more of it", fit.size(), id));
  return Status(ENOENT,
                fmt::format("there is no chunkserver {} (see: kfs chunkserver list; one that was removed is "
                            "named by its number)",
                            id));
}

// Prints what it is given. A file that goes on in the next page is one line all the same.
class FileList {
 public:
  explicit FileList(bool as_json) : json_(as_json) {
    if (json_) Print("{\"files\": [");
  }
  void Add(const std::string& volume, const ListedFile& file) {
    if (held_ && volume == volume_ && held_->ino() == file.ino()) {
      held_->set_chunks(held_->chunks() + file.chunks());
      return;
    }
    Flush();
    volume_ = volume;
    held_ = file;
  }
  void End(uint64_t server, bool complete) {
    Flush();
    if (json_) {
      Print(fmt::format("{}], \"chunkserver\": {}, \"complete\": {}}}\n", files_ == 0 ? "" : "\n", server,
                        complete));
      return;
    }
    if (files_ == 0) {
      if (complete) Print(fmt::format("no file has chunks on chunkserver {}\n", server));
      return;
    }
    Print(fmt::format("{} file{}, {} chunk{} on chunkserver {}{}\n", files_, files_ == 1 ? "" : "s", chunks_,
                      chunks_ == 1 ? "" : "s", server, complete ? "" : ", and what could not be asked for"));
  }
  uint64_t files() const { return files_; }

 private:
  void Flush() {
    if (!held_) return;
    if (json_) {
      Print((files_ == 0 ? "\n  " : ",\n  ") +
            ListedFileJson(volume_, *held_).dump(-1, ' ', false, json::error_handler_t::replace));
    } else {
      Print(ListedFileText(volume_, *held_));
    }
    ++files_;
    chunks_ += held_->chunks();
    held_.reset();
  }

  const bool json_;
  std::string volume_;
  std::optional<ListedFile> held_;
  uint64_t files_ = 0, chunks_ = 0;
};

// Others may be asking, or the volume may be on its way to another metaserver.
constexpr int kTriesMax = 40;
constexpr auto kTryAgainAfter = std::chrono::milliseconds(250);

Status ListVolume(GlobalOptions global, const pb::VolumeConf& volume, uint64_t server, FileList& list) {
  Progress progress("volume " + volume.name());
  pb::ChunkserverFilesRequest request;
  request.set_server(server);
  request.set_volume(volume.name());
  std::unique_ptr<AdminConnection> owner;
  for (int tries = 0;;) {
    if (owner == nullptr) {
      auto any = AdminConnection::Open(global);
      if (!any.ok()) return any.status();
      pb::LocateVolumeRequest where;
      where.set_name(volume.name());
      auto found = (*any)->Call<rpc::LocateVolume>(where);
      if (!found.ok()) return found.status();
      GlobalOptions at = global;
      at.metaservers = {found->owner()};
      auto opened = AdminConnection::Open(at);
      if (!opened.ok()) return opened.status();
      owner = std::move(*opened);
    }
    auto page = owner->Call<rpc::ChunkserverFiles>(request);
    const Code code = page.status().code();
    if (!page.ok() && (code == Code::kTryAgain || code == Code::kNotOwner) && ++tries < kTriesMax) {
      if (code == Code::kNotOwner) owner.reset();
      std::this_thread::sleep_for(kTryAgainAfter);  // the owner does not call back; kTriesMax bounds it
      continue;
    }
    if (!page.ok()) return page.status();
    tries = 0;
    for (const ListedFile& file : page->file()) list.Add(volume.name(), file);
    if (!page->has_next()) return {};
    *request.mutable_from() = page->next();
    progress.Tell(fmt::format("{} looked at, {} files found", Percent(page->next().ino(), page->ino_end()),
                              list.files()));
  }
}

int RunFiles(GlobalOptions& global, const FilesArgs& args) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  auto conf = ReplyOrReport(*admin, admin->Call<rpc::ConfShow>({}), &code);
  if (conf == nullptr) return code;
  admin.reset();
  const Result<uint64_t> server = NumberOf(*conf, args.id);
  if (!server.ok()) return Report(server.status(), ExitCodeOf(server.status(), false));
  std::vector<pb::VolumeConf> volumes;
  for (const auto& v : conf->conf().volume()) {
    if (args.volume.empty() || v.name() == args.volume) volumes.push_back(v);
  }
  if (volumes.empty() && !args.volume.empty())
    return Report(
        Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", args.volume)),
        kNotFound);
  FileList list(global.json);
  for (const pb::VolumeConf& v : volumes) {
    if (const Status s = ListVolume(global, v, *server, list); !s.ok())
      code = Report(Status(s.err(), s.code(), fmt::format("volume {}: {}", v.name(), s.message())), kFailed);
  }
  list.End(*server, code == kOk);
  return code;
}

}  // namespace

void AddChunkserverFilesCommand(CLI::App& chunkserver, GlobalOptions& global) {
  auto args = std::make_shared<FilesArgs>();
  CLI::App* command = chunkserver.add_subcommand(
      "files", "List the files that have chunks on a chunkserver, also on one that was removed.");
  command->fallthrough();
  AddChunkserverArgument(command, global, &args->id);
  CLI::Option* volume =
      command->add_option("--volume", args->volume, "Of this volume only. Default: of all volumes.")
          ->type_name("NAME");
  global.names[volume] = Names::kVolume;
  command->footer(
      "A line a file: how many of its chunks are there, its volume and its path. Of a volume that is "
      "stopped, or "
      "whose\nowner is away, nothing is known; the exit code is 1 then. What is changed while the list is "
      "made "
      "may or may not\nbe in it.");
  command->callback([&global, args] { global.run = [&global, args] { return RunFiles(global, *args); }; });
}

}  // namespace kfs::cli
