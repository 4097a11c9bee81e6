// For tests of changes: a configuration that they are made to, and the changes.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "memory_store.h"

namespace kfs::meta {

class ChangesTest : public testing::Test {
 protected:
  void Must(const pb::Change& change) {
    Result<pb::ClusterConf> next = Apply(conf_, change, "t", "command");
    ASSERT_TRUE(next.ok()) << next.status().ToString();
    conf_ = *next;
  }
  Status Try(const pb::Change& change) { return Apply(conf_, change, "t", "command").status(); }

  static pb::Change Volume(const std::string& name) {
    pb::Change c;
    auto* v = c.mutable_create_volume();
    v->set_name(name);
    v->set_owner("m1");
    v->set_replicas(1);
    v->set_chunk_size(64 << 20);
    return c;
  }
  static pb::Change Move(const std::string& owner, uint64_t epoch, const std::string& transfer) {
    pb::Change change;
    pb::Change::MoveVolume* move = change.mutable_move_volume();
    move->set_name("data");
    move->set_owner(owner);
    move->set_epoch(epoch);
    move->set_transfer(transfer);
    return change;
  }
  pb::Change Start(const std::string& name, bool start) {
    pb::Change c;
    (start ? c.mutable_start_volume() : c.mutable_stop_volume())->set_name(name);
    return c;
  }
  static pb::Change Delete(const std::string& name) {
    pb::Change c;
    c.mutable_delete_volume()->set_name(name);
    return c;
  }
  static pb::Change Set(const std::string& volume, const std::string& name, const std::string& value) {
    pb::Change c;
    c.mutable_set_option()->set_volume(volume);
    c.mutable_set_option()->set_name(name);
    c.mutable_set_option()->set_value(value);
    return c;
  }
  static pb::Change Chunkserver(const std::string& uuid,
                                const std::map<std::string, std::string>& labels = {}) {
    pb::Change c;
    c.mutable_add_chunkserver()->set_uuid(uuid);
    for (const auto& [name, value] : labels) (*c.mutable_add_chunkserver()->mutable_label())[name] = value;
    return c;
  }
  static pb::Change Label(const std::string& uuid, const std::string& name, const std::string& value) {
    pb::Change c;
    c.mutable_label_chunkserver()->set_uuid(uuid);
    (*c.mutable_label_chunkserver()->mutable_set())[name] = value;
    return c;
  }
  static pb::Change Remove(const std::string& uuid) {
    pb::Change c;
    c.mutable_remove_chunkserver()->set_uuid(uuid);
    return c;
  }
  static pb::Change Revert(const pb::ClusterConf& to) {
    pb::Change c;
    *c.mutable_revert()->mutable_to() = to;
    return c;
  }

  pb::ClusterConf conf_ = ThreeMembers();
};

}  // namespace kfs::meta
