#include "metaserver/store/member_db.h"

#include <cstdlib>

#include "common/log.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

Result<bool> MemberDb::Empty() {
  const std::optional<std::string> stored = db_.Get(MemberKey());
  KFS_RETURN_IF_ERROR(db_.TakeReadError());
  if (!stored) return true;
  pb::MemberRecord record;
  if (!record.ParseFromString(*stored) || record.uuid().empty()) {
    return Status(
        EIO, Code::kCorrupt,
        "the member's record in " + db_.path() +
            " is damaged: move that directory away, start, and let another member mend this one (kfs "
            "peer repair)");
  }
  return false;
}

pb::MemberRecord MemberDb::Load() {
  pb::MemberRecord record;
  if (auto stored = db_.Get(MemberKey())) (void)record.ParseFromString(*stored);
  last_ = record.conf().generation();
  return record;
}

void MemberDb::Save(const pb::MemberRecord& record) {
  const uint64_t generation = record.conf().generation();
  db_.Put(MemberKey(), record.SerializeAsString());
  if (generation != last_) {
    db_.Put(GenerationKey(generation), record.conf().SerializeAsString());
    if (generation > kHistoryKept) db_.Delete(GenerationKey(generation - kHistoryKept));
    last_ = generation;
  }
  db_.Commit();
  if (Status s = db_.Sync(); !s.ok()) {
    // What was promised could be forgotten: nobody may hear of it.
    KFS_LOG(critical, "cluster.sync_failed reason=\"{}\" effect=\"the process ends\"", s.ToString());
    std::abort();
  }
}

std::optional<pb::ClusterConf> MemberDb::At(uint64_t generation) {
  pb::ClusterConf conf;
  if (auto stored = db_.Get(GenerationKey(generation)); stored && conf.ParseFromString(*stored)) return conf;
  return {};
}

}  // namespace kfs::meta
