// Chunks that a volume names and that the chunkserver which should hold them does not have, as far as
// somebody has asked for one: a finding of `kfs health` for as long as it lasts. A chunkserver tells what it
// was asked for in vain; what the volume's own records do not confirm is passed over. Over when the chunk
// turns up in an inventory, or nothing names it any more. Loop's thread only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/clock.h"
#include "metaserver/base/alarms.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"

namespace kfs::meta {

class MissingChunks {
 public:
  static constexpr size_t kMax = 1024;        // of one volume on one chunkserver: "at least"
  static constexpr int kToldMax = 64;         // looked at in one heartbeat
  static constexpr size_t kLookedAtMax = 64;  // looked at again in one turn of OnTimer
  static constexpr auto kLookEvery = std::chrono::seconds(5);
  static constexpr auto kSayEvery = std::chrono::seconds(10);

  MissingChunks(Clock& clock, Executor& executor, Chunkservers& servers, Alarms& alarms)
      : clock_(clock), executor_(executor), servers_(servers), alarms_(alarms) {}

  void Told(ServerId server, const google::protobuf::RepeatedPtrField<pb::ChunkRef>& refs);
  // In an inventory. One at an earlier version than the volume names cannot be read either.
  void Held(ServerId server, VolumeId volume, uint64_t chunk, uint64_t version);
  void OnTimer();

 private:
  struct Found {
    std::string subject;                  // of its alarm; empty: none is raised
    std::map<uint64_t, uint64_t> chunks;  // and the inode of each
    uint64_t looked_at = 0;               // last
    MonoTime said{};
    size_t told = 0;  // in the alarm
  };
  // The inode whose file it is a part of; 0: nobody says that it should be there.
  static uint64_t NamedBy(Volume& volume, ServerId server, uint64_t chunk, uint64_t* version = nullptr);
  void Show(const std::pair<VolumeId, ServerId>& where, Found& found);

  Clock& clock_;
  Executor& executor_;
  Chunkservers& servers_;
  Alarms& alarms_;
  std::map<std::pair<VolumeId, ServerId>, Found> found_;
  MonoTime next_{};
};

}  // namespace kfs::meta
