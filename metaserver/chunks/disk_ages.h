// The latest that each disk of a chunkserver has shown (DiskStatus::age): one that shows less is an older
// copy of what it was. What was shown was durable before, so that loss of power never makes a disk look old.
// Each metaserver remembers for itself. Loop's thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/status.h"
#include "metaserver/store/records.pb.h"
#include "proto/chunk.pb.h"

namespace kfs::meta {

class DiskAges {
 public:
  static constexpr size_t kMax = 256;  // disks of one chunkserver; what comes after that is not looked at
  using Disks = google::protobuf::RepeatedPtrField<pb::DiskStatus>;

  // ESTALE/kOlderCopy, in words, when one of them is an older copy. Disks that are not known are welcome, and
  // those that say nothing.
  Status Check(const Disks& shown) const;
  // True: there was news.
  bool Note(const Disks& shown);
  // When an older copy of one of them was accepted last, for a person; empty: never.
  std::string CopyAccepted() const;

  void Load(const rec::Chunkserver& record);
  void Store(rec::Chunkserver* record) const;

 private:
  std::map<std::string, rec::DiskAge> latest_;  // by the disk's uuid
};

}  // namespace kfs::meta
