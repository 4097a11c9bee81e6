#include "metaserver/losses/missing_chunks.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

namespace {

// What was in its place before an older copy was accepted is refused now: putting it back is no way.
std::string Advice(const Chunkserver* server) {
  if (const std::string date = server == nullptr ? "" : server->ages.CopyAccepted(); !date.empty())
    return fmt::format(
        "an older copy of that chunkserver's data was accepted on {} (accept-older-copy): what was written "
        "between the copy and then is not in it. These files are to be had from a backup (find MOUNTPOINT "
        "-inum INODE names them); if the data directory that was there before still exists, keep it: it may "
        "have them, but is refused as long as the accepted one is used",
        date);
  return "was a disk taken out of that chunkserver, or other data put in its place? Put the right data "
         "directory back. Else these files are to be had from a backup (find MOUNTPOINT -inum INODE names "
         "them)";
}

}  // namespace

uint64_t MissingChunks::NamedBy(Volume& volume, ServerId server, uint64_t chunk, uint64_t* version) {
  const ChunkId id(chunk);
  Db& db = volume.store.db();
  const std::optional<std::string> owner_value = db.Get(OwnerKey(id));
  rec::ChunkOwner owner;
  if (!owner_value || !owner.ParseFromString(*owner_value)) return 0;
  const std::optional<std::string> value = db.Get(ChunkKey(Ino(owner.ino()), owner.index()));
  rec::Chunk record;
  if (!value || !record.ParseFromString(*value) || record.chunk() != chunk) return 0;
  // One that nothing was written to need not be there; one that is just being changed may be made by that.
  if (!record.written() || volume.mutations.Pending(id)) return 0;
  if (version != nullptr) *version = record.version();
  return std::ranges::count(record.server(), server.v) != 0 ? owner.ino() : 0;
}

void MissingChunks::Told(ServerId server, const google::protobuf::RepeatedPtrField<pb::ChunkRef>& refs) {
  std::set<std::pair<VolumeId, ServerId>> grown;
  for (int i = 0; i < std::min(refs.size(), kToldMax); ++i) {
    Volume* volume = executor_.FindVolume(VolumeId(refs[i].volume()));
    if (volume == nullptr) continue;
    const std::pair where(volume->id(), server);
    const auto it = found_.find(where);
    if (it != found_.end() &&
        (it->second.chunks.contains(refs[i].chunk()) || it->second.chunks.size() >= kMax))
      continue;
    const uint64_t ino = NamedBy(*volume, server, refs[i].chunk());
    if (!volume->store.db().TakeReadError().ok() || ino == 0) continue;
    found_[where].chunks[refs[i].chunk()] = ino;
    grown.insert(where);
  }
  for (const auto& where : grown) Show(where, found_.at(where));
}

void MissingChunks::Held(ServerId server, VolumeId volume, uint64_t chunk, uint64_t version) {
  if (found_.empty()) return;
  const auto it = found_.find({volume, server});
  if (it == found_.end() || !it->second.chunks.contains(chunk)) return;
  Volume* named = executor_.FindVolume(volume);
  uint64_t wanted = 0;
  if (named != nullptr && NamedBy(*named, server, chunk, &wanted) != 0 && version < wanted) return;
  it->second.chunks.erase(chunk);  // OnTimer shows it
}

void MissingChunks::OnTimer() {
  const MonoTime now = clock_.MonoNow();
  if (found_.empty() || now < next_) return;
  next_ = now + kLookEvery;
  for (auto it = found_.begin(); it != found_.end();) {
    Found& found = it->second;
    Volume* volume = executor_.FindVolume(it->first.first);
    const bool known = volume != nullptr && servers_.Find(it->first.second) != nullptr;
    if (!known) found.chunks.clear();
    for (size_t n = 0; n < std::min(kLookedAtMax, found.chunks.size()); ++n) {
      auto chunk = found.chunks.upper_bound(found.looked_at);
      if (chunk == found.chunks.end()) chunk = found.chunks.begin();
      found.looked_at = chunk->first;
      const uint64_t ino = NamedBy(*volume, it->first.second, chunk->first);
      const bool pending = volume->mutations.Pending(ChunkId(chunk->first));
      if (volume->store.db().TakeReadError().ok() && ino == 0 && !pending) found.chunks.erase(chunk);
    }
    Show(it->first, found);
    it = found.chunks.empty() ? found_.erase(it) : std::next(it);
  }
}

void MissingChunks::Show(const std::pair<VolumeId, ServerId>& where, Found& found) {
  const size_t count = found.chunks.size();
  if (count == found.told) return;
  const bool grown = count > found.told;
  found.told = count;
  if (count == 0) {
    alarms_.Clear("chunk.missing", found.subject);
    KFS_LOG(info, "chunk.missing_no_more volume={} server={}", where.first.v, where.second.v);
    return;
  }
  const Volume* volume = executor_.FindVolume(where.first);
  const Chunkserver* server = servers_.Find(where.second);
  const std::string name = volume == nullptr ? std::to_string(where.first.v) : volume->info.name();
  const std::string address = server == nullptr ? "" : server->address;
  const auto& [chunk, ino] = *found.chunks.begin();
  if (found.subject.empty())
    found.subject = fmt::format("volume {} on chunkserver {} ({})", name, where.second.v, address);
  const std::string next = Advice(server);
  alarms_.Raise(
      "chunk.missing", found.subject,
      {.severity = pb::ClusterStatusReply::Alarm::CRITICAL,
       .what = fmt::format("names {}{} chunk{} that {} not there (inode {}{}): reading {} fails (EIO)",
                           count >= kMax ? "at least " : "", count, count == 1 ? "" : "s",
                           count == 1 ? "is" : "are", ino, count == 1 ? "" : " and others",
                           count == 1 ? "it" : "them"),
       .next = next});
  const MonoTime now = clock_.MonoNow();
  if (!grown || (found.said != MonoTime() && now - found.said < kSayEvery)) return;
  found.said = now;
  KFS_LOG(error, "chunk.missing volume={} server={} address={} chunks={} chunk={} ino={} next=\"{}\"", name,
          where.second.v, address, count, chunk, ino, next);
}

}  // namespace kfs::meta
