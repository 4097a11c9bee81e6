// What the servers of a cluster have been seen with, so that they are never again taken for less: who has
// come by TLS does not come without it, who has shown a newer root secret's key does not show an older one's.
// What was seen of metaservers and chunkservers is kept in a file, for their names stay; what was seen of
// others (a mount has a new name with each start) is for the life of the process. Loop's thread only.
//
//   role|id|tls|generation     a line for each, in the file; `tls`: 0 or 1
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "common/file_ops.h"
#include "proto/common.pb.h"

namespace kfs {

class SeenPeers {
 public:
  static constexpr size_t kMax = 65536;     // in all; who comes after that is not remembered
  static constexpr size_t kKeptMax = 4096;  // in the file

  struct Seen {
    bool tls = false;
    uint32_t generation = 0;  // of the root secret; 0: none
    bool operator==(const Seen&) const = default;
  };

  SeenPeers() = default;  // no file
  // What cannot be read is logged, and seen anew. `files` outlives it. `path` empty: no file.
  SeenPeers(std::string path, FileOps& files);

  Seen Of(pb::HelloRequest::Role role, const std::string& id) const;
  // Remembers the better of both. The file is written at once, and synced: seldom, for each server once.
  void Remember(pb::HelloRequest::Role role, const std::string& id, const Seen& seen);
  // Where it is kept, for words; empty: nowhere.
  const std::string& path() const { return path_; }

 private:
  void Load();
  void Save() const;

  const std::string path_;  // empty: no file
  FileOps* const files_ = nullptr;
  std::unordered_map<std::string, Seen> seen_;
};

}  // namespace kfs
