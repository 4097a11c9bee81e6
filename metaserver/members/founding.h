// How a metaserver begins: alone, in a cluster of its own, until another one takes it in.
#pragma once

#include <string>

#include "common/file_ops.h"
#include "common/secret.h"
#include "metaserver/store/cluster_store.h"
#include "metaserver/store/member_db.h"
#include "rpc/event_loop.h"

namespace kfs::meta {

// What others reach this metaserver by: `configured`, else the address listened on, unless that means "all
// addresses".
std::string AdvertisedAddress(EventLoop& loop, const std::string& configured, const std::string& listening);

// The record with which a metaserver begins.
pb::MemberRecord Founding(const std::string& cluster_id, const std::string& address,
                          Entropy& entropy = SystemRandom());

// Saves it, where there is none. Refused, with nothing changed, where volumes lie that it would not name:
// they would be deleted.
Status FoundIfNew(FileOps& files, const std::string& data_dir, const std::string& address,
                  const ClusterStore& cluster, MemberDb* db, Entropy& entropy);

}  // namespace kfs::meta
