// A backup of a volume's metadata: a tar archive with the database's files below db/, and last
// kfs-backup.json, which says whose it is and has each file's SHA-256. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/status.h"
#include "proto/image.pb.h"

namespace kfs::cli {

// A regular file is written beside `path` (through symbolic links: beside what they lead to) with mode 0600,
// and renamed at the end: a backup that was cut short is never taken for one. Anything else that is there, a
// FIFO or a device, is written to and stays what it is; "-" is standard output.
class BackupWriter {
 public:
  // EEXIST: there is a file, or a block device, and `replace` is false. EISDIR. ENOTTY: a terminal.
  static Result<std::unique_ptr<BackupWriter>> Open(const std::string& path, bool replace);
  ~BackupWriter();  // without Finish nothing stays

  Status Begin(const std::string& name, uint64_t size);  // a file of db/
  Status Add(std::string_view bytes);
  Status End();
  // `manifest`: with sizes; the checksums are filled in.
  Status Finish(pb::ImageManifest* manifest);
  // Of the whole archive, after Finish.
  uint64_t bytes() const;

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
