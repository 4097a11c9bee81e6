// The member's record in the cluster's database, and the history of decided configurations beside it. Loop's
// thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "metaserver/cluster/member_store.h"
#include "metaserver/store/db.h"
#include "metaserver/store/record_sync.h"

namespace kfs::meta {

class MemberDb final : public MemberStore {
 public:
  explicit MemberDb(Db& db) : db_(db), sync_(db) {}

  // Saves are synced by that thread from now on; null: before Save returns.
  void SyncOn(WalSync* thread) { sync_.UseThread(thread); }

  // Nothing is stored yet: the first start. EIO when it cannot be understood.
  Result<bool> Empty();
  pb::MemberRecord Load() override;
  // A configuration that is new joins the history; one of another cluster begins it anew. Ends the process when
  // it cannot be written or synced.
  void Save(const pb::MemberRecord& record, std::function<void()> durable) override;
  bool HasRoom() const override { return has_room_; }
  void SetHasRoom(bool has_room) { has_room_ = has_room; }

  // The configuration decided under that generation; none when it is not kept (any more).
  std::optional<pb::ClusterConf> At(uint64_t generation);
  // The newest one that is kept of those up to it. (A member that was away has gaps.)
  std::optional<pb::ClusterConf> NewestUpTo(uint64_t generation);

  static constexpr uint64_t kHistoryKept = 1000;

 private:
  // Drops the history up to that generation.
  void Forget(uint64_t to);

  Db& db_;
  RecordSync sync_;
  uint64_t last_ = 0;    // generation that the history ends with
  std::string cluster_;  // whose history it is
  bool has_room_ = true;
};

}  // namespace kfs::meta
