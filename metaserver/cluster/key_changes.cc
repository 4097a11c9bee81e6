#include "metaserver/cluster/key_changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/keys.h"
#include "common/limits.h"
#include "common/network.h"
#include "common/types.h"
#include "common/utf8.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::meta {
namespace {

// A key takes some 100 bytes of the configuration, whose bound of 400 KiB comes first when they name many
// networks.
constexpr int kKeysMax = 2048;
constexpr size_t kKeyNameMax = 63;
constexpr int kNetworksMax = 16;  // of one key
constexpr size_t kPathMax = 1024;
// An invitation is for a moment: whoever finds it later finds nothing.
constexpr TimeNs kInvitationMax = 30 * 86400 * TimeNs{1000000000};

Status CheckName(const std::string& name) {
  bool good = !name.empty() && name.size() <= kKeyNameMax && name.front() != '-' && name.front() != '.';
  for (char c : name)
    good = good && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.');
  if (good) return {};
  return Status(EINVAL, fmt::format("a key's name is 1 to {} letters, digits, '-', '_' or '.'", kKeyNameMax));
}

// As the metaserver resolves it: single slashes, no "." and "..".
Status CheckPath(const std::string& path) {
  if (path.empty()) return {};
  if (path.size() > kPathMax)
    return Status(EINVAL, fmt::format("a key's path has at most {} bytes", kPathMax));
  for (size_t at = 0; at <= path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, slash - at);
    if (name.empty() || name == "." || name == ".." || name.size() > kNameMax ||
        name.find('\0') != std::string::npos)
      return Status(EINVAL, "a key's path is that of a directory from the volume's root on, without \"..\"");
    at = slash + 1;
  }
  return {};
}

Status SetNetworks(const pb::KeyConf& from, pb::KeyConf* key) {
  if (from.from_size() > kNetworksMax)
    return Status(EINVAL, fmt::format("a key has at most {} networks", kNetworksMax));
  for (const std::string& text : from.from()) {
    Result<std::string> network = ParseNetwork(text);
    if (!network.ok()) return network.status();
    if (std::ranges::count(key->from(), *network) == 0) key->add_from(*network);
  }
  return {};
}

Status SetMountRights(const pb::Change::AddKey& c, const pb::ClusterConf& conf, pb::KeyConf* key) {
  if (c.volume().empty()) return Status(EINVAL, "a key for mounts names the volume that it opens");
  const pb::VolumeConf* volume = FindVolume(conf, c.volume());
  if (volume == nullptr)
    return Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", c.volume()));
  KFS_RETURN_IF_ERROR(CheckPath(c.key().path()));
  if (!pb::KeyConf::Squash_IsValid(c.key().squash()))
    return Status(EINVAL, Code::kMalformed, "this version does not know who is to be squashed");
  key->set_volume(volume->id());
  key->set_path(c.key().path());
  key->set_read_only(c.key().read_only());
  key->set_squash(c.key().squash());
  if (c.key().squash() == pb::KeyConf::NONE) return {};
  if (c.key().squash_uid() == 0 || c.key().squash_uid() == UINT32_MAX || c.key().squash_gid() == UINT32_MAX)
    return Status(EINVAL, "callers are squashed to a user who is not root: UID:GID, 65534:65534 by default");
  key->set_squash_uid(c.key().squash_uid());
  key->set_squash_gid(c.key().squash_gid());
  return {};
}

Status CheckBoundToNothing(const pb::Change::AddKey& c) {
  const pb::KeyConf& k = c.key();
  if (c.volume().empty() && k.path().empty() && !k.read_only() && k.squash() == pb::KeyConf::NONE) return {};
  return Status(EINVAL, "only a mount's key is bound to a volume, a path, or to users");
}

Status CheckInvitation(const pb::Change::AddKey& c, const pb::ClusterConf& conf) {
  KFS_RETURN_IF_ERROR(CheckBoundToNothing(c));
  if (!c.key().uuid().empty() && FindChunkserver(conf, c.key().uuid()) == nullptr)
    return Status(ENOENT, fmt::format("there is no chunkserver {} (see: kfs chunkserver list)",
                                      Printable(c.key().uuid(), kKeyNameMax)));
  if (c.key().expires() != 0 && c.key().expires() <= conf.time() + kInvitationMax) return {};
  return Status(EINVAL, "an invitation ends, after 30 days at the latest");
}

}  // namespace

Status Do(const pb::Change::AddKey& c, pb::ClusterConf* next) {
  KFS_RETURN_IF_ERROR(CheckName(c.key().name()));
  if (FindKey(*next, c.key().name()) != nullptr)
    return Status(EEXIST, fmt::format("there is a key \"{}\" already (see: kfs key list)", c.key().name()));
  if (next->key_size() >= kKeysMax)
    return Status(EINVAL, fmt::format("a cluster has at most {} keys: revoke some", kKeysMax));
  pb::KeyConf key;
  key.set_name(c.key().name());
  key.set_kind(c.key().kind());
  if (c.key().kind() == pb::KeyConf::MOUNT) {
    KFS_RETURN_IF_ERROR(SetMountRights(c, *next, &key));
  } else if (c.key().kind() == pb::KeyConf::ADMIN) {
    KFS_RETURN_IF_ERROR(CheckBoundToNothing(c));
  } else if (c.key().kind() == pb::KeyConf::CHUNKSERVER) {
    KFS_RETURN_IF_ERROR(CheckInvitation(c, *next));
    key.set_uuid(c.key().uuid());
  } else {
    return Status(EINVAL, Code::kMalformed, "this version does not know such a kind of key");
  }
  KFS_RETURN_IF_ERROR(SetNetworks(c.key(), &key));
  if (c.key().expires() < 0 || (c.key().expires() != 0 && c.key().expires() <= next->time()))
    return Status(EINVAL, "the key would have expired already");
  key.set_expires(c.key().expires());
  key.set_created(next->time());
  // Of the time, too: a key of another cluster that was founded with the same secret is another one.
  const int64_t now_s = std::max<int64_t>(next->time() / 1000000000, 0);
  next->set_next_key(std::max(next->next_key() + 1, static_cast<uint64_t>(now_s)));
  key.set_serial(next->next_key());
  *next->add_key() = key;
  return {};
}

Status Do(const pb::Change::RevokeKey& c, pb::ClusterConf* next) {
  auto* keys = next->mutable_key();
  auto it =
      std::find_if(keys->begin(), keys->end(), [&](const pb::KeyConf& k) { return k.name() == c.name(); });
  if (it == keys->end())
    return Status(
        ENOENT, fmt::format("there is no key \"{}\" (see: kfs key list)", Printable(c.name(), kKeyNameMax)));
  keys->erase(it);
  return {};
}

void RevokeKeysOf(uint32_t volume, pb::ClusterConf* next) {
  auto* keys = next->mutable_key();
  keys->erase(std::remove_if(keys->begin(), keys->end(),
                             [&](const pb::KeyConf& k) {
                               return k.kind() == pb::KeyConf::MOUNT && k.volume() == volume;
                             }),
              keys->end());
}

Status UseInvitation(const std::string& id, bool member, pb::ChunkserverConf* server, pb::ClusterConf* next) {
  const pb::KeyConf* key = FindKeyById(*next, id);
  if (key == nullptr || key->kind() != pb::KeyConf::CHUNKSERVER || key->expires() <= next->time()) {
    return Status(EACCES, fmt::format("the invitation {} is used up, revoked or over: make another with 'kfs "
                                      "chunkserver invite'",
                                      Printable(id, kKeyIdSizeMax)));
  }
  // Else whoever is invited could take the place of one that is there, by its uuid.
  if (member && key->uuid().empty()) {
    return Status(EACCES, fmt::format("chunkserver {} is in the cluster: it goes over to a key of its own by "
                                      "'kfs chunkserver invite NAME --for {}'",
                                      server->uuid(), server->id()));
  }
  if (key->uuid() != (member ? server->uuid() : ""))
    return Status(EACCES, "the invitation is for another chunkserver");
  server->set_invitation(id);
  server->set_invitation_expires(key->expires());
  pb::Change::RevokeKey used;
  used.set_name(key->name());
  return Do(used, next);
}

std::string KeyIdOf(const pb::KeyConf& key) {
  const char* kind = key.kind() == pb::KeyConf::ADMIN         ? "admin"
                     : key.kind() == pb::KeyConf::CHUNKSERVER ? "invitation"
                                                              : "mount";
  return fmt::format("{}/{}/{}", kind, key.name(), key.serial());
}

bool IsInvitation(const std::string& id) { return id.starts_with("invitation/"); }

const pb::KeyConf* FindKey(const pb::ClusterConf& conf, const std::string& name) {
  for (const pb::KeyConf& k : conf.key()) {
    if (k.name() == name) return &k;
  }
  return nullptr;
}

const pb::KeyConf* FindKeyById(const pb::ClusterConf& conf, const std::string& id) {
  if (KeyGeneration(id) == 0) return nullptr;
  const std::string name = WithoutGeneration(id);
  const size_t first = name.find('/'), last = name.rfind('/');
  if (first == std::string::npos || first >= last) return nullptr;
  const pb::KeyConf* key = FindKey(conf, name.substr(first + 1, last - first - 1));
  return key != nullptr && KeyIdOf(*key) == name ? key : nullptr;
}

std::string RightsOf(const pb::ClusterConf& conf, const pb::KeyConf& key) {
  std::vector<std::string> words;
  if (key.kind() == pb::KeyConf::ADMIN) {
    words.emplace_back("administrator");
  } else if (key.kind() == pb::KeyConf::CHUNKSERVER) {
    words.push_back(key.uuid().empty() ? "invites one chunkserver" : "invites chunkserver " + key.uuid());
  } else {
    std::string volume = fmt::format("number {}", key.volume());
    if (const pb::VolumeConf* v = FindVolumeById(conf, key.volume())) volume = v->name();
    words.push_back("volume " + volume);
    if (!key.path().empty()) words.push_back("/" + Printable(key.path(), kPathMax));
    if (key.read_only()) words.emplace_back("read-only");
    if (key.squash() != pb::KeyConf::NONE)
      words.push_back(fmt::format("{} {}:{}", key.squash() == pb::KeyConf::ROOT ? "root is" : "all are",
                                  key.squash_uid(), key.squash_gid()));
  }
  if (key.from_size() > 0) words.push_back(fmt::format("from {}", fmt::join(key.from(), " ")));
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace kfs::meta
