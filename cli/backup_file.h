// A backup of a volume's metadata: a tar archive with the database's files below db/, and last
// kfs-backup.json, which says whose it is and has each file's SHA-256. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/status.h"
#include "proto/image.pb.h"

namespace kfs::cli {

// Written beside `path` and renamed at the end: a backup that was cut short is never taken for one.
class BackupWriter {
 public:
  static Result<std::unique_ptr<BackupWriter>> Open(const std::string& path);
  ~BackupWriter();  // without Finish nothing stays

  Status Begin(const std::string& name, uint64_t size);  // a file of db/
  Status Add(std::string_view bytes);
  Status End();
  // `manifest`: with sizes; the checksums are filled in.
  Status Finish(pb::ImageManifest* manifest);

 private:
  struct Impl;
  explicit BackupWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Calls `piece` with each file in pieces of `piece_size` bytes (the last one of a file is shorter, maybe
// empty). Gives the manifest, or EIO/kCorrupt when the archive is not what it says.
using BackupPiece = std::function<Status(const std::string& name, uint64_t offset, std::string_view bytes)>;
Result<pb::ImageManifest> ReadBackup(const std::string& path, size_t piece_size, const BackupPiece& piece);

}  // namespace kfs::cli
