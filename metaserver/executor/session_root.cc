// Which directory a new session sees as its root, and what its key lets it do there; and the end of sessions
// whose key counts no more.
#include <fmt/format.h>

#include "common/log.h"
#include "common/utf8.h"
#include "metaserver/executor/executor.h"

namespace kfs::meta {
namespace {

constexpr size_t kPathShown = 256;
constexpr int kDepthMax = 1 << 16;  // of a directory below the one that a key is bound to

std::string Shown(const std::string& path) { return "/" + Printable(path, kPathShown); }

// The root that the mount had in a session which is not known any more. It may have been renamed since, or
// removed: then its ops say so.
Status PlaceAgain(VolumeStore& store, Ino root, Ino confined, Session* session) {
  if (confined && !LiesBelow(store, root, confined, kDepthMax)) {
    return Status(ENOENT, Code::kNoDirectory,
                  "the directory that was mounted is gone from where the key is bound to");
  }
  session->root = root;
  return {};
}

}  // namespace

Status Executor::PlaceSession(Volume& volume, const pb::OpenSessionRequest& request,
                              const MountRights& rights, Session* session) {
  if (rights.volume != 0 && rights.volume != volume.id().v) {
    return Status(EACCES, fmt::format("the key {} is not for volume \"{}\"", rights.key, volume.info.name()));
  }
  const Result<std::string> path = CleanPath(request.path());
  if (!path.ok()) return path.status();
  session->path = *path;
  Ino confined;
  if (!rights.path.empty()) {
    const Result<Ino> bound = ResolveDirectory(volume.store, kRootIno, rights.path);
    if (!bound.ok()) {
      return Status(bound.status().err(), bound.status().code(),
                    fmt::format("the key {} is bound to \"{}\": {}", rights.key, Shown(rights.path),
                                bound.status().message()));
    }
    confined = *bound;
  }
  session->root = confined ? confined : kRootIno;
  if (request.root() != 0) {
    KFS_RETURN_IF_ERROR(PlaceAgain(volume.store, Ino(request.root()), confined, session));
  } else if (!path->empty()) {
    const Result<Ino> root = ResolveDirectory(volume.store, kRootIno, *path);
    // Outside of what the key is bound to it is not said what is there.
    if (confined && (!root.ok() || !LiesBelow(volume.store, *root, confined, kDepthMax))) {
      const bool within = *path == rights.path || path->starts_with(rights.path + "/");
      if (within && !root.ok()) return root.status();
      return Status(EACCES, fmt::format("the key {} opens \"{}\" and what is below, not \"{}\"", rights.key,
                                        Shown(rights.path), Shown(*path)));
    }
    if (!root.ok()) return root.status();
    session->root = *root;
  } else {
    session->path = rights.path;
  }
  session->path = Printable(session->path, kPathShown);
  session->rights.set_key(rights.key);
  session->rights.set_confined(confined.v);
  session->rights.set_read_only(rights.read_only);
  session->rights.set_squash(rights.squash);
  session->rights.set_squash_uid(rights.squash_uid);
  session->rights.set_squash_gid(rights.squash_gid);
  session->rights.set_expires(rights.expires);
  return {};
}

bool Executor::TakesRights(Session* session, const MountRights& rights) {
  if (session->rights.key() == rights.key) return true;
  if (!IsRootKey(session->rights.key()) || !IsRootKey(rights.key)) return false;
  session->volume->ChangeKey(*session, rights.key);
  return true;
}

// Of one volume, at once: it is asked for again within a second.
constexpr size_t kEndedAtOnce = 2048;

void Executor::EndSessionsOfKeys(const std::function<bool(const std::string& key)>& counts) {
  for (const auto& [id, volume] : volumes_) {
    std::vector<SessionPtr> ended;
    for (const auto& [sid, s] : volume->sessions) {
      if (ended.size() >= kEndedAtOnce) break;
      if (!s->rights.key().empty() && !counts(s->rights.key())) ended.push_back(s);
    }
    for (const SessionPtr& s : ended) EndSession(s, "its key " + s->rights.key() + " was revoked");
  }
}

void Executor::ExpireKeys(Volume& volume) {
  const int64_t now = clock_.WallNow();
  std::vector<SessionPtr> ended;
  for (const auto& [sid, s] : volume.sessions) {
    if (ended.size() >= kEndedAtOnce) break;
    if (s->rights.expires() != 0 && s->rights.expires() <= now) ended.push_back(s);
  }
  for (const SessionPtr& s : ended) EndSession(s, "its key " + s->rights.key() + " has expired");
}

}  // namespace kfs::meta
