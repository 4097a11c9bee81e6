#include "metaserver/members/resolve.h"

#include <fmt/format.h>

#include <charconv>
#include <set>
#include <vector>

#include "metaserver/cluster/conf_options.h"
#include "metaserver/cluster/configuration.h"
#include "rpc/address.h"

namespace kfs::meta {
namespace {

constexpr size_t kPrefixMin = 4;  // letters of a uuid that may stand for it

bool Begins(const std::string& uuid, const std::string& text) {
  return text.size() >= kPrefixMin && uuid.starts_with(text);
}

// The one that fits.
Result<std::string> OnlyOne(const std::vector<std::string>& fit, const std::string& what,
                            const std::string& text, const std::string& list) {
  if (fit.size() == 1) return fit.front();
  if (fit.empty()) return Status(ENOENT, fmt::format("there is no {} {} (see: {})", what, text, list));
  return Status(EINVAL, fmt::format("{} {}s fit \"{}\": say more of it", fit.size(), what, text));
}

template <typename Message>
Status SetPeer(const pb::ClusterConf& conf, Message* m) {
  Result<std::string> uuid = ResolvePeer(conf, m->uuid());
  if (!uuid.ok()) return uuid.status();
  m->set_uuid(*uuid);
  return {};
}

template <typename Message>
Status SetChunkserver(const pb::ClusterConf& conf, const ChunkserverAddresses& addresses, Message* m) {
  Result<std::string> uuid = ResolveChunkserver(conf, addresses, m->uuid());
  if (!uuid.ok()) return uuid.status();
  m->set_uuid(*uuid);
  return {};
}

template <typename Message>
Status SetOwner(const pb::ClusterConf& conf, Message* m) {
  Result<std::string> uuid = ResolvePeer(conf, m->owner());
  if (!uuid.ok()) return uuid.status();
  m->set_owner(*uuid);
  return {};
}

}  // namespace

Result<std::string> ResolvePeer(const pb::ClusterConf& conf, const std::string& text) {
  std::vector<std::string> fit;
  for (const pb::MemberConf& m : conf.member()) {
    if (m.uuid() == text || m.address() == text) return m.uuid();
    if (Begins(m.uuid(), text) || HostOf(m.address()) == text) fit.push_back(m.uuid());
  }
  return OnlyOne(fit, "peer", text, "kfs peer status");
}

Result<std::string> ResolveChunkserver(const pb::ClusterConf& conf, const ChunkserverAddresses& addresses,
                                       const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  std::vector<std::string> fit;
  for (const pb::ChunkserverConf& c : conf.chunkserver()) {
    if (c.uuid() == text || (is_number && c.id() == number)) return c.uuid();
    auto it = addresses.find(c.id());
    const bool here = it != addresses.end() && (it->second == text || HostOf(it->second) == text);
    if (Begins(c.uuid(), text) || here) fit.push_back(c.uuid());
  }
  return OnlyOne(fit, "chunkserver", text, "kfs chunkserver list");
}

Status ResolveChange(const pb::ClusterConf& conf, const ChunkserverAddresses& addresses,
                     const VolumeDefaults& defaults, pb::Change* change) {
  switch (change->what_case()) {
    case pb::Change::kRemoveMember:
      return SetPeer(conf, change->mutable_remove_member());
    case pb::Change::kGiveUpMembers: {
      std::set<std::string> uuids;
      for (std::string& peer : *change->mutable_give_up_members()->mutable_uuid()) {
        Result<std::string> uuid = ResolvePeer(conf, peer);
        if (!uuid.ok()) return uuid.status();
        if (!uuids.insert(*uuid).second) return Status(EINVAL, fmt::format("{} is named twice", peer));
        peer = *uuid;
      }
      return {};
    }
    case pb::Change::kSetAddress:
      return SetPeer(conf, change->mutable_set_address());
    case pb::Change::kCreateVolume: {
      pb::Change::CreateVolume* c = change->mutable_create_volume();
      if (c->chunk_size() == 0) {
        constexpr std::string_view kOption = "default-chunk-size";
        auto set = conf.option().find(std::string(kOption));
        c->set_chunk_size(set == conf.option().end()
                              ? defaults.chunk_size
                              : static_cast<uint64_t>(ConfValue(
                                    *FindConfOption(ConfOption::Of::kCluster, kOption), set->second)));
      }
      if (c->replicas() == 0) c->set_replicas(defaults.replicas);
      if (!c->owner().empty()) return SetOwner(conf, c);
      for (std::string& candidate : *c->mutable_candidate()) {
        Result<std::string> uuid = ResolvePeer(conf, candidate);
        if (!uuid.ok()) return uuid.status();
        candidate = *uuid;
      }
      return {};
    }
    case pb::Change::kMoveVolume:
      return SetOwner(conf, change->mutable_move_volume());
    case pb::Change::kAddKey:
      if (change->add_key().key().uuid().empty()) return {};
      return SetChunkserver(conf, addresses, change->mutable_add_key()->mutable_key());
    case pb::Change::kLabelChunkserver:
      return SetChunkserver(conf, addresses, change->mutable_label_chunkserver());
    case pb::Change::kRemoveChunkserver:
      return SetChunkserver(conf, addresses, change->mutable_remove_chunkserver());
    default:
      return {};
  }
}

}  // namespace kfs::meta
