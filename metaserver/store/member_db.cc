#include "metaserver/store/member_db.h"

#include <algorithm>
#include <utility>

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
            " is damaged: move that directory and 'volumes' beside it away, start, let another member mend "
            "this one (kfs peer repair), then stop it, put 'volumes' back and start again");
  }
  return false;
}

pb::MemberRecord MemberDb::Load() {
  pb::MemberRecord record;
  if (auto stored = db_.Get(MemberKey())) (void)record.ParseFromString(*stored);
  last_ = record.conf().generation();
  cluster_ = record.conf().cluster_id();
  return record;
}

void MemberDb::Forget(uint64_t to) {
  std::vector<std::string> old;
  db_.Scan(GenerationPrefix(), "", [&](std::string_view key, std::string_view) {
    if (KeyU64(key, 1) > to) return false;
    old.emplace_back(key);
    return true;
  });
  for (const std::string& key : old) db_.Delete(key);
}

void MemberDb::Save(const pb::MemberRecord& record, std::function<void()> durable) {
  const uint64_t generation = record.conf().generation();
  const bool another_cluster = record.conf().cluster_id() != cluster_;
  if (another_cluster || generation != last_) {
    if (another_cluster) {
      Forget(UINT64_MAX);  // what was decided there says nothing about here
    } else if (generation > kHistoryKept) {
      Forget(generation - kHistoryKept);
    }
    db_.Put(GenerationKey(generation), record.conf().SerializeAsString());
    last_ = generation;
    cluster_ = record.conf().cluster_id();
  }
  db_.Put(MemberKey(), record.SerializeAsString());
  db_.Commit();
  sync_.Sync(std::move(durable));
}

std::optional<pb::ClusterConf> MemberDb::At(uint64_t generation) {
  pb::ClusterConf conf;
  if (auto stored = db_.Get(GenerationKey(generation)); stored && conf.ParseFromString(*stored)) return conf;
  return {};
}

std::optional<pb::ClusterConf> MemberDb::NewestUpTo(uint64_t generation) {
  const uint64_t oldest = last_ > kHistoryKept ? last_ - kHistoryKept : 0;
  for (generation = std::min(generation, last_); generation > oldest; --generation) {
    if (std::optional<pb::ClusterConf> conf = At(generation)) return conf;
  }
  return {};
}

}  // namespace kfs::meta
