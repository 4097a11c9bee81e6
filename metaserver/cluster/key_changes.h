// Keys in the configuration: who was given one, and what it may. `next`: a copy of the configuration, to be
// edited. Apply (configuration.h) makes the changes. Pure functions.
#pragma once

#include <string>

#include "common/status.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

Status Do(const pb::Change::AddKey& c, pb::ClusterConf* next);
Status Do(const pb::Change::RevokeKey& c, pb::ClusterConf* next);
// With a volume go the keys that open nothing else.
void RevokeKeysOf(uint32_t volume, pb::ClusterConf* next);

// The chunkserver has come with it: it is no more. `member`: it belonged to the cluster before. EACCES: there
// is no such invitation (any more), or not for this one.
Status UseInvitation(const std::string& id, bool member, pb::ChunkserverConf* server, pb::ClusterConf* next);
bool IsInvitation(const std::string& id);

// "mount/laptops/3": what DeriveKey (common/keys.h) makes the key of, from the first root secret.
std::string KeyIdOf(const pb::KeyConf& key);
// Null: it was never given out, or is revoked. `id`: of any root secret's generation.
const pb::KeyConf* FindKey(const pb::ClusterConf& conf, const std::string& name);
const pb::KeyConf* FindKeyById(const pb::ClusterConf& conf, const std::string& id);

// What it may, for a person: "volume data, /projects, read-only, root is 65534:65534, from 10.0.0.0/8".
std::string RightsOf(const pb::ClusterConf& conf, const pb::KeyConf& key);

}  // namespace kfs::meta
