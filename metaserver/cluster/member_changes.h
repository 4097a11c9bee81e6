// Changes of who is a member, each with what it does and when it is refused. `next`: a copy of the
// configuration, to be edited. Apply (configuration.h) makes them.
#pragma once

#include <set>
#include <string>

#include "common/status.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

Status Do(const pb::Change::AddMember& c, pb::ClusterConf* next);
Status Do(const pb::Change::RemoveMember& c, pb::ClusterConf* next);
Status Do(const pb::Change::GiveUpMembers& c, pb::ClusterConf* next);
Status Do(const pb::Change::Readmit& c, pb::ClusterConf* next);
Status Do(const pb::Change::SetAddress& c, pb::ClusterConf* next);

// Says in a change that would choose owners for volumes by itself that they are to be among `there`, the
// uuids of members that take part in it: one that is down may never come back. Owners that somebody has named
// are kept, unless several were and some of them are there.
void ChooseAmong(const std::set<std::string>& there, const pb::ClusterConf& conf, pb::Change* change);

// REQUIRES: it is a member.
void SetOwner(const std::string& uuid, pb::ClusterConf* next, pb::VolumeConf* v);

}  // namespace kfs::meta
