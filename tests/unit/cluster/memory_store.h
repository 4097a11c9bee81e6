// A member's record in memory; counts what was made durable.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/member_store.h"

namespace kfs::meta {

class MemoryStore : public MemberStore {
 public:
  pb::MemberRecord Load() override { return record; }
  void Save(const pb::MemberRecord& r, std::function<void()> durable) override {
    record = r;
    ++saved;
    if (!slow) return durable();
    syncs.push_back(std::move(durable));
  }
  // What is saved from now on is durable when Sync says so.
  void Sync() {
    for (const auto& durable : std::exchange(syncs, {})) durable();
  }
  bool HasRoom() const override { return has_room; }
  pb::MemberRecord record;
  bool has_room = true;
  int saved = 0;
  bool slow = false;
  std::vector<std::function<void()>> syncs;
};

inline pb::ClusterConf ThreeMembers() {
  pb::ClusterConf conf;
  conf.set_cluster_id("test");
  conf.set_generation(7);
  for (int i = 1; i <= 3; ++i) {
    pb::MemberConf* m = conf.add_member();
    m->set_uuid("m" + std::to_string(i));
    m->set_address("host" + std::to_string(i) + ":7400");
    m->set_incarnation(1);
    m->set_votes_from(1);
  }
  return conf;
}

inline MemoryStore StoreOf(const std::string& uuid, uint64_t incarnation = 1) {
  MemoryStore store;
  store.record.set_uuid(uuid);
  store.record.set_incarnation(incarnation);
  *store.record.mutable_conf() = ThreeMembers();
  return store;
}

}  // namespace kfs::meta
