// Changes of who is a member, each with what it does and when it is refused. `next`: a copy of the
// configuration, to be edited. Apply (configuration.h) makes them.
#pragma once

#include <string>

#include "common/status.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

Status Do(const pb::Change::AddMember& c, pb::ClusterConf* next);
Status Do(const pb::Change::RemoveMember& c, pb::ClusterConf* next);
Status Do(const pb::Change::GiveUpMembers& c, pb::ClusterConf* next);
Status Do(const pb::Change::Readmit& c, pb::ClusterConf* next);
Status Do(const pb::Change::SetAddress& c, pb::ClusterConf* next);

// REQUIRES: it is a member.
void SetOwner(const std::string& uuid, pb::ClusterConf* next, pb::VolumeConf* v);

}  // namespace kfs::meta
