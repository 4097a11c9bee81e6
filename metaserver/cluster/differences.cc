// What differs between two configurations, for a person.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/key_changes.h"

namespace kfs::meta {
namespace {

std::map<std::string, std::string> OptionsOf(const google::protobuf::Map<std::string, std::string>& options) {
  return {options.begin(), options.end()};
}

void DifferentOptions(const std::string& of, const google::protobuf::Map<std::string, std::string>& from,
                      const google::protobuf::Map<std::string, std::string>& to,
                      std::vector<std::string>* out, std::string_view kind = "option",
                      std::string_view unset = "default") {
  const auto before = OptionsOf(from), after = OptionsOf(to);
  for (const auto& [name, value] : before) {
    auto it = after.find(name);
    if (it == after.end()) {
      out->push_back(fmt::format("{}{} {}: {} -> {}", of, kind, name, value, unset));
    } else if (it->second != value) {
      out->push_back(fmt::format("{}{} {}: {} -> {}", of, kind, name, value, it->second));
    }
  }
  for (const auto& [name, value] : after) {
    if (!before.contains(name))
      out->push_back(fmt::format("{}{} {}: {} -> {}", of, kind, name, unset, value));
  }
}

void DifferentChunkservers(const pb::ClusterConf& from, const pb::ClusterConf& to,
                           std::vector<std::string>* out) {
  std::map<uint64_t, const pb::ChunkserverConf*> before;
  for (const pb::ChunkserverConf& c : from.chunkserver()) before[c.id()] = &c;
  for (const pb::ChunkserverConf& c : to.chunkserver()) {
    const std::string of = fmt::format("chunkserver {}: ", c.id());
    auto it = before.find(c.id());
    if (it == before.end()) {
      out->push_back(of + "added");
      continue;
    }
    DifferentOptions(of, it->second->label(), c.label(), out, "label", "none");
    before.erase(it);
  }
  for (const auto& [id, c] : before) out->push_back(fmt::format("chunkserver {}: removed", id));
  const auto& settled = from.settled_chunkserver();
  for (uint64_t id : to.settled_chunkserver()) {
    if (std::find(settled.begin(), settled.end(), id) == settled.end())
      out->push_back(fmt::format("chunkserver {}: what was lost with it is settled", id));
  }
}

void DifferentKeys(const pb::ClusterConf& from, const pb::ClusterConf& to, std::vector<std::string>* out) {
  std::map<uint64_t, const pb::KeyConf*> before;
  for (const pb::KeyConf& k : from.key()) before[k.serial()] = &k;
  for (const pb::KeyConf& k : to.key()) {
    if (before.erase(k.serial()) == 0)
      out->push_back(fmt::format("key {}: made, {}", k.name(), RightsOf(to, k)));
  }
  for (const auto& [serial, k] : before) out->push_back(fmt::format("key {}: revoked", k->name()));
}

}  // namespace

std::vector<std::string> Differences(const pb::ClusterConf& from, const pb::ClusterConf& to) {
  std::vector<std::string> out;
  for (const pb::MemberConf& m : from.member()) {
    const pb::MemberConf* now = FindMember(to, m.uuid());
    if (now == nullptr) {
      out.push_back(fmt::format("peer {}: detached", m.address()));
      continue;
    }
    if (now->address() != m.address())
      out.push_back(fmt::format("peer {}: address -> {}", m.address(), now->address()));
    if (now->incarnation() != m.incarnation())
      out.push_back(fmt::format("peer {}: readmitted (incarnation {})", m.address(), now->incarnation()));
  }
  for (const pb::MemberConf& m : to.member()) {
    if (FindMember(from, m.uuid()) == nullptr) out.push_back(fmt::format("peer {}: added", m.address()));
  }
  for (const pb::VolumeConf& v : from.volume()) {
    const pb::VolumeConf* now = FindVolume(to, v.name());
    if (now == nullptr || now->id() != v.id()) {
      out.push_back(fmt::format("volume {}: deleted", v.name()));
      continue;
    }
    const std::string of = fmt::format("volume {}: ", v.name());
    if (now->started() != v.started()) out.push_back(of + (now->started() ? "started" : "stopped"));
    if (now->owner() != v.owner())
      out.push_back(fmt::format("{}owner: {} -> {}", of, NameOf(from, v.owner()), NameOf(to, now->owner())));
    if (now->owner_incarnation() == 0 && v.owner_incarnation() != 0)
      out.push_back(fmt::format("{}its names were lost with {}: restore it from a backup", of,
                                NameOf(from, v.owner())));
    if (now->restored() && now->transfer() != v.transfer()) out.push_back(of + "begins anew with a backup");
    DifferentOptions(of, v.option(), now->option(), &out);
    DifferentOptions(of, v.label(), now->label(), &out, "label", "none");
  }
  for (const pb::VolumeConf& v : to.volume()) {
    const pb::VolumeConf* before = FindVolume(from, v.name());
    if (before == nullptr || before->id() != v.id())
      out.push_back(fmt::format("volume {}: created, owner {}", v.name(), NameOf(to, v.owner())));
  }
  DifferentChunkservers(from, to, &out);
  DifferentKeys(from, to, &out);
  DifferentOptions("", from.option(), to.option(), &out);
  return out;
}

}  // namespace kfs::meta
