#include "cli/backup_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/output.h"
#include "common/sha256.h"

namespace kfs::cli {
namespace {

constexpr char kManifestName[] = "kfs-backup.json";
constexpr size_t kManifestMax = 64u << 20;

Status Trouble(archive* a, const std::string& path) {
  int err = archive_errno(a);
  if (err <= 0 || err == EILSEQ) err = EIO;  // EILSEQ is what libarchive says of a broken archive
  const char* words = archive_error_string(a);
  return Status(err, fmt::format("{}: {}", path, words == nullptr ? "cannot be used" : words));
}

nlohmann::json ManifestJson(const pb::ImageManifest& m) {
  nlohmann::json files = nlohmann::json::array();
  for (const pb::ImageFile& f : m.file())
    files.push_back({{"name", f.name()}, {"size", f.size()}, {"sha256", Hex(f.sha256())}});
  return {{"format", 1},          {"cluster", m.cluster_id()},
          {"volume", m.volume()}, {"volume_name", m.volume_name()},
          {"epoch", m.epoch()},   {"taken", m.taken()},
          {"files", files}};
}

Status FromJson(const std::string& text, const std::map<std::string, pb::ImageFile>& seen,
                const std::string& path, pb::ImageManifest* m) {
  const Status damaged(EIO, Code::kCorrupt,
                       path + " is damaged: what it holds is not what was written into it");
  const auto j = nlohmann::json::parse(text, nullptr, false);
  if (j.is_discarded() || j.value("format", 0) != 1 || !j.contains("files")) return damaged;
  m->set_cluster_id(j.value("cluster", ""));
  m->set_volume(j.value("volume", 0u));
  m->set_volume_name(j.value("volume_name", ""));
  m->set_epoch(j.value("epoch", uint64_t{0}));
  m->set_taken(j.value("taken", int64_t{0}));
  for (const auto& f : j["files"]) {
    auto it = seen.find(f.value("name", ""));
    if (it == seen.end() || it->second.size() != f.value("size", uint64_t{0}) ||
        Hex(it->second.sha256()) != f.value("sha256", ""))
      return damaged;
    *m->add_file() = it->second;
  }
  return static_cast<size_t>(m->file_size()) == seen.size() ? Status() : damaged;
}

// So that the name survives loss of power, too.
Status SyncFolderOf(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == EACCES ? Status() : ErrnoStatus(errno, folder.string());
  const int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  return error == 0 ? Status() : ErrnoStatus(error, "cannot sync " + folder.string());
}

}  // namespace

struct BackupWriter::Impl {
  std::string path, beside;  // beside: empty when it is not a regular file that is made
  int fd = -1;
  uint64_t bytes = 0;
  archive* out = nullptr;
  std::map<std::string, std::string> sums;
  std::string name;
  std::unique_ptr<Sha256> sum;

  Status Header(const std::string& entry_name, uint64_t size) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, entry_name.c_str());
    archive_entry_set_size(entry, static_cast<int64_t>(size));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    const int status = archive_write_header(out, entry);
    archive_entry_free(entry);
    return status == ARCHIVE_OK ? Status() : Trouble(out, path);
  }
  Status Data(std::string_view bytes) {
    const la_ssize_t n = archive_write_data(out, bytes.data(), bytes.size());
    return n == static_cast<la_ssize_t>(bytes.size()) ? Status() : Trouble(out, path);
  }
};

BackupWriter::BackupWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

BackupWriter::~BackupWriter() {
  if (impl_->out != nullptr) {
    // What is thrown away may have an end. (libarchive does not free all of one that has failed.)
    if (impl_->beside.empty()) archive_write_fail(impl_->out);
    archive_write_free(impl_->out);
  }
  if (impl_->fd >= 0) close(impl_->fd);
  if (!impl_->beside.empty()) unlink(impl_->beside.c_str());
}

uint64_t BackupWriter::bytes() const { return impl_->bytes; }

namespace {

// Where symbolic links lead to: what is there is replaced, not the link.
Result<std::string> Resolve(const std::string& path) {
  std::filesystem::path at = path;
  for (int links = 0; links < 40; ++links) {
    std::error_code ec;
    if (!std::filesystem::is_symlink(std::filesystem::symlink_status(at, ec))) return at.string();
    const std::filesystem::path to = std::filesystem::read_symlink(at, ec);
    if (ec) return Status(ec.value(), fmt::format("{}: {}", path, ec.message()));
    at = to.is_absolute() ? to : at.parent_path() / to;
  }
  return Status(ELOOP, path + ": too many symbolic links");
}

// What is there and no regular file: opened to be written to. -1: there is none, or a regular file.
Result<int> OpenOther(const std::string& path, bool replace) {
  struct stat st {};
  int fd = -1;
  if (path == "-") {
    fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return ErrnoStatus(errno, "standard output");
  } else if (stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return -1;
    return ErrnoStatus(errno, path);
  } else if (S_ISDIR(st.st_mode)) {
    return Status(EISDIR, path + " is a directory: name the file");
  } else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
    if (!replace) {
      return Status(EEXIST, fmt::format("{} is there already: name another file, or say --force{}", path,
                                        S_ISBLK(st.st_mode) ? " to overwrite what is on that device" : ""));
    }
    if (S_ISREG(st.st_mode)) return -1;
  }
  if (fd < 0) fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return ErrnoStatus(errno, path);
  if (isatty(fd) != 0) {
    close(fd);
    return Status(ENOTTY, "a backup is not written to a terminal: name a file, or use a pipe");
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<BackupWriter>> BackupWriter::Open(const std::string& path, bool replace) {
  auto impl = std::make_unique<Impl>();
  Result<int> other = OpenOther(path, replace);
  if (!other.ok()) return other.status();
  impl->fd = *other;
  impl->path = path == "-" ? "standard output" : path;
  if (impl->fd < 0) {
    Result<std::string> target = Resolve(path);
    if (!target.ok()) return target.status();
    impl->path = *target;
    const std::string beside = *target + ".part";
    unlink(beside.c_str());  // of an earlier attempt
    impl->fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (impl->fd < 0) return ErrnoStatus(errno, beside);
    impl->beside = beside;
  }
  impl->out = archive_write_new();
  archive_write_set_format_pax_restricted(impl->out);
  // No padding for tapes, wherever it goes: the size told is what was written.
  archive_write_set_bytes_in_last_block(impl->out, 1);
  const bool opened = archive_write_open_fd(impl->out, impl->fd) == ARCHIVE_OK;
  const Status trouble = opened ? Status() : Trouble(impl->out, impl->path);
  std::unique_ptr<BackupWriter> writer(new BackupWriter(std::move(impl)));
  if (!trouble.ok()) return trouble;
  return writer;
}

Status BackupWriter::Begin(const std::string& name, uint64_t size) {
  impl_->name = name;
  impl_->sum = std::make_unique<Sha256>();
  return impl_->Header("db/" + name, size);
}

Status BackupWriter::Add(std::string_view bytes) {
  impl_->sum->Add(bytes);
  return impl_->Data(bytes);
}

Status BackupWriter::End() {
  impl_->sums[impl_->name] = impl_->sum->Finish();
  return {};
}

Status BackupWriter::Finish(pb::ImageManifest* manifest) {
  for (pb::ImageFile& f : *manifest->mutable_file()) f.set_sha256(impl_->sums[f.name()]);
  const std::string text = ManifestJson(*manifest).dump(1) + "\n";
  KFS_RETURN_IF_ERROR(impl_->Header(kManifestName, text.size()));
  KFS_RETURN_IF_ERROR(impl_->Data(text));
  if (archive_write_close(impl_->out) != ARCHIVE_OK) return Trouble(impl_->out, impl_->path);
  impl_->bytes = static_cast<uint64_t>(archive_filter_bytes(impl_->out, -1));
  archive_write_free(impl_->out);
  impl_->out = nullptr;
  // What cannot be synced (a pipe, a terminal's like) has no disk of its own.
  if (fsync(impl_->fd) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
    return ErrnoStatus(errno, "cannot write " + impl_->path);
  if (impl_->beside.empty()) return {};
  struct stat st {};
  if (fstat(impl_->fd, &st) == 0) impl_->bytes = static_cast<uint64_t>(st.st_size);
  if (std::rename(impl_->beside.c_str(), impl_->path.c_str()) != 0)
    return ErrnoStatus(errno, "cannot write " + impl_->path);
  impl_->beside.clear();
  return SyncFolderOf(impl_->path);
}

Result<pb::ImageManifest> ReadBackup(const std::string& path, size_t piece_size, const BackupPiece& piece) {
  struct stat st {};
  if (path == "-" || (stat(path.c_str(), &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))) {
    return Status(ESPIPE,
                  "a backup is read twice, first to see that it is whole: put it into a file, and name that");
  }
  std::unique_ptr<archive, decltype(&archive_read_free)> in(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(in.get());
  if (archive_read_open_filename(in.get(), path.c_str(), 1 << 20) != ARCHIVE_OK)
    return Trouble(in.get(), path);
  std::map<std::string, pb::ImageFile> seen;
  std::string text;
  std::vector<char> buffer(piece_size);
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(in.get(), &entry)) == ARCHIVE_OK) {
    std::string name = archive_entry_pathname(entry);
    const bool is_manifest = name == kManifestName;
    if (!is_manifest && !name.starts_with("db/"))
      return Status(EINVAL, fmt::format("{} is not a backup of KFS: it holds {}", path, name));
    if (!is_manifest) name.erase(0, 3);
    Sha256 sum;
    uint64_t offset = 0;
    while (true) {
      size_t have = 0;
      while (have < piece_size) {
        const la_ssize_t n = archive_read_data(in.get(), buffer.data() + have, piece_size - have);
        if (n < 0) return Trouble(in.get(), path);
        if (n == 0) break;
        have += static_cast<size_t>(n);
      }
      const std::string_view bytes(buffer.data(), have);
      if (is_manifest) {
        text += bytes;
        if (text.size() > kManifestMax) return Status(EIO, Code::kCorrupt, path + " is damaged");
      } else {
        sum.Add(bytes);
        KFS_RETURN_IF_ERROR(piece(name, offset, bytes));
      }
      offset += have;
      if (have < piece_size) break;
    }
    if (is_manifest) continue;
    pb::ImageFile& file = seen[name];
    file.set_name(name);
    file.set_size(offset);
    file.set_sha256(sum.Finish());
  }
  if (status != ARCHIVE_EOF && seen.empty() && text.empty())
    return Status(EINVAL, path + " is not a backup of KFS");
  if (status != ARCHIVE_EOF) return Trouble(in.get(), path);
  if (text.empty())
    return Status(EINVAL, fmt::format("{} is not a backup of KFS, or it was cut short: it has no {}", path,
                                      kManifestName));
  pb::ImageManifest manifest;
  KFS_RETURN_IF_ERROR(FromJson(text, seen, path, &manifest));
  return manifest;
}

}  // namespace kfs::cli
