#include "metaserver/cluster/configuration.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/sha.h>

#include <algorithm>
#include <map>

namespace kfs::meta {
namespace {

// Maps have no order of their own on the wire.
std::string Canonical(const google::protobuf::MessageLite& message) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

}  // namespace

std::string Checksum(const pb::ClusterConf& conf) {
  const std::string bytes = Canonical(conf);
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

bool Same(const pb::ClusterConf& a, const pb::ClusterConf& b) { return Canonical(a) == Canonical(b); }

const pb::MemberConf* FindMember(const pb::ClusterConf& conf, const std::string& uuid) {
  for (const pb::MemberConf& m : conf.member()) {
    if (m.uuid() == uuid) return &m;
  }
  return nullptr;
}

const pb::VolumeConf* FindVolume(const pb::ClusterConf& conf, const std::string& name) {
  for (const pb::VolumeConf& v : conf.volume()) {
    if (v.name() == name) return &v;
  }
  return nullptr;
}

const pb::VolumeConf* FindVolumeById(const pb::ClusterConf& conf, uint32_t id) {
  for (const pb::VolumeConf& v : conf.volume()) {
    if (v.id() == id) return &v;
  }
  return nullptr;
}

const pb::ChunkserverConf* FindChunkserver(const pb::ClusterConf& conf, const std::string& uuid) {
  for (const pb::ChunkserverConf& c : conf.chunkserver()) {
    if (c.uuid() == uuid) return &c;
  }
  return nullptr;
}

std::string FewestVolumes(const pb::ClusterConf& conf, const std::vector<std::string>& uuids) {
  std::map<std::string, size_t> owned;
  for (const pb::VolumeConf& v : conf.volume()) ++owned[v.owner()];
  return *std::min_element(uuids.begin(), uuids.end(),
                           [&](const std::string& a, const std::string& b) { return owned[a] < owned[b]; });
}

std::string NameOf(const pb::ClusterConf& conf, const std::string& uuid) {
  const pb::MemberConf* m = FindMember(conf, uuid);
  return m == nullptr ? uuid : m->address();
}

size_t Majority(const pb::ClusterConf& conf) { return static_cast<size_t>(conf.member_size()) / 2 + 1; }

size_t Needed(const pb::ClusterConf& conf, const pb::Change& change) {
  const auto& lost = change.give_up_members().uuid();
  if (lost.empty()) return Majority(conf);
  const auto left = std::count_if(conf.member().begin(), conf.member().end(), [&](const pb::MemberConf& m) {
    return HasVote(conf, m.uuid(), m.incarnation()) &&
           std::find(lost.begin(), lost.end(), m.uuid()) == lost.end();
  });
  return std::min(Majority(conf), std::max<size_t>(static_cast<size_t>(left), 1));
}

bool MayHaveBeen(const pb::ClusterConf& conf, uint64_t id, const std::string& uuid) {
  for (const auto& removed : conf.removed_chunkserver()) {
    if (removed.id() == id) return removed.uuid() == uuid;
  }
  return true;
}

bool MayBeLost(const pb::ClusterConf& conf, uint32_t volume) {
  return std::any_of(
      conf.lost_volume().begin(), conf.lost_volume().end(),
      [&](const pb::ClusterConf::Numbers& n) { return n.after() < volume && volume <= n.to(); });
}

uint64_t Before(const pb::ClusterConf& conf) {
  return conf.follows() != 0 ? conf.follows() : conf.generation() - 1;
}

bool Apart(const pb::ClusterConf& a, const pb::ClusterConf& b) {
  return std::none_of(a.member().begin(), a.member().end(),
                      [&](const pb::MemberConf& m) { return FindMember(b, m.uuid()) != nullptr; });
}

bool HasVote(const pb::ClusterConf& conf, const std::string& uuid, uint64_t incarnation) {
  const pb::MemberConf* m = FindMember(conf, uuid);
  return m != nullptr && m->incarnation() == incarnation && m->votes_from() <= conf.generation();
}

}  // namespace kfs::meta
