// The cluster's configuration as a value: its checksum, who is in it, what differs between two, and the one
// after a change. Pure functions; every member computes the same.
#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

// Members that are given up may have decided some generations among themselves: what the others decide from
// then on is newer than all of that.
constexpr uint64_t kGiveUpSkips = 100;
// The same for numbers of volumes and chunkservers: a second one of a number would be taken for the first.
constexpr uint32_t kNumbersSkipped = 1u << 16;
// The transfer of a move that is only tried out.
constexpr char kDryTransfer[] = "dry-run";

// SHA-256 of everything in it.
std::string Checksum(const pb::ClusterConf& conf);
// The same change of the same configuration, whoever worked it out.
bool Same(const pb::ClusterConf& a, const pb::ClusterConf& b);

// Whether a chunk of the removed chunkserver `id` may come back with the one that has this uuid. It may with
// any of a removed one that an earlier version has not noted.
bool MayHaveBeen(const pb::ClusterConf& conf, uint64_t id, const std::string& uuid);

const pb::MemberConf* FindMember(const pb::ClusterConf& conf, const std::string& uuid);
const pb::VolumeConf* FindVolume(const pb::ClusterConf& conf, const std::string& name);
const pb::VolumeConf* FindVolumeById(const pb::ClusterConf& conf, uint32_t id);
const pb::ChunkserverConf* FindChunkserver(const pb::ClusterConf& conf, const std::string& uuid);
// Which of the members owns the fewest volumes; the first of several. REQUIRES: there is one.
std::string FewestVolumes(const pb::ClusterConf& conf, const std::vector<std::string>& uuids);
// "m2.example:7400", or the uuid of one that is not a member.
std::string NameOf(const pb::ClusterConf& conf, const std::string& uuid);
// How many members must agree on what follows this configuration.
size_t Majority(const pb::ClusterConf& conf);
// The same for this change, and for what is finished on its way.
size_t Needed(const pb::ClusterConf& conf, const pb::Change& change);
// Whether a volume of that number may have been known to nobody but members that were given up.
bool MayBeLost(const pb::ClusterConf& conf, uint32_t volume);
// The generation that it was made from.
uint64_t Before(const pb::ClusterConf& conf);
// Whether nobody is a member of both.
bool Apart(const pb::ClusterConf& a, const pb::ClusterConf& b);
// Whether this incarnation of the member has a vote on what follows. One that has none counts in Majority all
// the same.
bool HasVote(const pb::ClusterConf& conf, const std::string& uuid, uint64_t incarnation);

// The next generation. Errors say what is wrong with the change and what would be allowed; kAlreadySo: it
// would be the same again.
Result<pb::ClusterConf> Apply(const pb::ClusterConf& conf, const pb::Change& change,
                              const std::string& transaction, const std::string& command);

// For a person, a line each: "volume data: option inline-max: 16K -> 32K".
std::vector<std::string> Differences(const pb::ClusterConf& from, const pb::ClusterConf& to);

}  // namespace kfs::meta
