// What a session sees of its volume: where its root is, what it may reach and change, and who its callers
// are. Whoever mounts a directory sees it as inode 1, and nothing above. One place decides all of it, for
// every op of the table: requests and replies are searched for inode numbers by their fields' names, so that
// an op that is new is covered without being listed. Loop's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "common/status.h"
#include "common/types.h"
#include "metaserver/store/records.pb.h"
#include "metaserver/store/volume_store.h"
#include "proto/op_types.h"

namespace kfs::meta {

struct Session;
class Volume;

// The inodes that a confined session may name: those that it was told of, and those that lie below its root.
// What it was told of is remembered up to a bound; what has fallen out is looked for on the way from the
// inode's parent to the root again, once. A file that was found by neither is ESTALE until its name is looked
// up: the kernel does that by itself.
class Reach {
 public:
  static constexpr size_t kKept = 1u << 16;  // in all: some 3 MiB of a session
  // Of all sessions, some 200 MiB; beyond it each keeps the latest few.
  static constexpr size_t kKeptOfAll = 1u << 22;
  static constexpr size_t kKeptAlways = 1u << 10;
  static constexpr int kStepsMax = 4096;  // levels that are climbed for one inode

  // `all`: what the reaches of all sessions keep.
  Reach(Ino root, std::shared_ptr<size_t> all) : root_(root), all_(std::move(all)) {}
  Reach(const Reach&) = delete;
  Reach& operator=(const Reach&) = delete;
  ~Reach() { *all_ -= young_.size() + old_.size(); }

  // It was named in a reply.
  void Named(Ino ino);
  // Whether it may be used. May need records that are not in memory (VolumeStore): then the answer counts for
  // nothing.
  bool Allows(VolumeStore& store, Ino ino);

 private:
  bool Knows(Ino ino) const { return young_.contains(ino) || old_.contains(ino); }

  const Ino root_;
  const std::shared_ptr<size_t> all_;
  // When the young ones are many, the old ones go and they take their place.
  std::unordered_set<Ino> young_, old_;
};

// An inode number as the session has it, to the volume's own, and back.
Ino FromSession(const Session& session, uint64_t ino);
uint64_t ToSession(const Session& session, Ino ino);

// Whether the session may use the inode: it is not confined, has it open, or reaches it (Reach::Allows).
bool InReach(Volume& volume, Session& session, Ino ino);

// EROFS in words when the volume or the session's key is for reading only.
Status CheckWritable(const Volume& volume, const Session& session);

// What ".." of a directory is to the session: its root is its own parent. None: nothing that it may reach.
Ino ParentFor(Volume& volume, Session& session, const rec::Inode& dir);

// Runs fn(uint64_t) -> uint64_t over every inode number in a request or reply of a session's op; what it
// gives is put in the number's place when it differs.
template <typename Message, typename Fn>
void MapInodes(Message* m, const Fn& fn) {
  if constexpr (requires { m->set_ino(uint64_t{}); }) {
    if (const uint64_t now = fn(m->ino()); now != m->ino()) m->set_ino(now);
  }
  if constexpr (requires { m->set_parent(uint64_t{}); }) {
    if (const uint64_t now = fn(m->parent()); now != m->parent()) m->set_parent(now);
  }
  if constexpr (requires { m->set_new_parent(uint64_t{}); }) {
    if (const uint64_t now = fn(m->new_parent()); now != m->new_parent()) m->set_new_parent(now);
  }
  if constexpr (requires { m->set_replaced_ino(uint64_t{}); }) {
    if (const uint64_t now = fn(m->replaced_ino()); now != m->replaced_ino()) m->set_replaced_ino(now);
  }
  if constexpr (requires { m->mutable_attr()->set_ino(uint64_t{}); }) {
    if (m->has_attr()) MapInodes(m->mutable_attr(), fn);
  }
  if constexpr (requires { m->mutable_lock()->set_ino(uint64_t{}); }) {
    if (m->has_lock()) MapInodes(m->mutable_lock(), fn);
  }
  if constexpr (requires { m->mutable_entry(0)->mutable_attr(); }) {  // of a directory's page
    for (auto& e : *m->mutable_entry()) MapInodes(&e, fn);
  }
}

// The inodes that a reply gives to the session for use: those with attributes. A name that was only listed is
// looked up before it is used, and what was removed is not used any more.
template <typename Reply, typename Fn>
void ForEachNamed(const Reply& reply, const Fn& fn) {
  if constexpr (requires { reply.attr().ino(); }) {
    if (reply.has_attr() && reply.attr().ino() != 0) fn(Ino(reply.attr().ino()));
  }
  if constexpr (requires { reply.entry(0).attr().ino(); }) {
    for (const auto& e : reply.entry()) ForEachNamed(e, fn);
  }
}

// Who asks, for a session whose callers are squashed.
void SquashCaller(const rec::Rights& rights, pb::Context* ctx);

// The directory that `path` leads to, from `from` on. Symbolic links are not followed. ENOENT/kNoDirectory,
// ENOTDIR, EINVAL in words; EIO.
Result<Ino> ResolveDirectory(VolumeStore& store, Ino from, std::string_view path);

// Without leading, double and trailing slashes; "" for the root. EINVAL: "..", NUL, a component that is too
// long, or more than PATH_MAX.
Result<std::string> CleanPath(std::string_view path);

// `inode` lies at or below `top`, by its parents. `steps`: at most so many.
bool LiesBelow(VolumeStore& store, Ino inode, Ino top, int steps);

}  // namespace kfs::meta
