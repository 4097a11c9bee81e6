// The locks of one kind on one inode: what is held, and what waits for it to go. LockTable keeps two of these
// an inode and knows sessions, limits and the order of grants.
//
// Nothing here grows with what does not overlap. Held ranges lie in a RangeIndex for each type. Waiting
// requests for the same range and type are one *group*: a held range stands in the way of all its members but
// those of its own owner, so that two ranges of different owners tell of every member that it must wait. A
// group is noted at a byte of each of the two, chosen by chance; while an owner keeps that byte, nobody need
// look at the group. What is given up makes the groups noted there, and only those, stale; how many they are
// the one who gives it up does not feel: they are looked up one by one (TakeStale).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "metaserver/locks/range_index.h"

namespace kfs::meta {

enum class LockType : uint8_t { kUnlock = 0, kRead = 1, kWrite = 2 };  // as pb::LockRange::Type

struct LockRequest {
  LockType type = LockType::kUnlock;
  bool flock = false;
  uint64_t start = 0;           // ignored for flock
  uint64_t end = UINT64_MAX;    // inclusive; ignored for flock
  uint32_t pid = 0;             // for F_GETLK's answer
  std::optional<uint32_t> uid;  // whom the lock counts against beside the session; none: nobody
};

struct HeldLock {
  LockOwner owner;
  LockType type = LockType::kRead;
  uint64_t start = 0;
  uint64_t end = UINT64_MAX;
  uint32_t pid = 0;
};

using LockTicket = uint64_t;  // of a waiting request; rises with time

class FileLocks {
 public:
  struct GroupKey {
    uint64_t start = 0, end = 0;
    LockType type = LockType::kRead;
    auto operator<=>(const GroupKey&) const = default;
  };
  static GroupKey KeyOf(const LockRequest& request);

  explicit FileLocks(uint64_t seed) : reads_(seed), writes_(~seed) {}  // seed: see RangeIndex

  // ---- held
  // The range in the way of the request that begins first.
  std::optional<HeldLock> FirstBlocker(LockOwner owner, const LockRequest& request) const;
  // Calls fn with each owner in the way, maybe more than once, until it returns false or `*budget` looks have
  // been spent.
  void ForEachBlocker(LockOwner owner, const LockRequest& request, size_t* budget,
                      const std::function<bool(LockOwner)>& fn) const;
  // By how many ranges Apply would let the owner's grow at most; merging can make it fewer.
  ptrdiff_t GrowthAtMost(LockOwner owner, const LockRequest& request) const;
  // The owner's range is locked, changed or unlocked, whatever others hold. The change of its number of
  // ranges.
  ptrdiff_t Apply(LockOwner owner, const LockRequest& request);
  std::vector<HeldLock> Held() const;
  // The first owner of the session that holds something, and where the last of its first `ranges` ends.
  struct Part {
    LockOwner owner;
    uint64_t end = 0;
  };
  std::optional<Part> PartOf(SessionId session, size_t ranges) const;
  std::vector<SessionId> Sessions() const;                // that hold something, each once
  std::optional<LockType> TypeOf(LockOwner owner) const;  // of its first range
  std::optional<uint32_t> UidOf(LockOwner owner) const;   // whom what it holds counts against
  size_t RangesOf(LockOwner owner) const;

  // ---- waiting
  void AddWaiter(LockTicket ticket, LockOwner owner, const LockRequest& request);
  void RemoveWaiter(LockTicket ticket, LockOwner owner, const LockRequest& request);
  std::vector<LockTicket> WaitersOf(LockOwner owner) const;

  // Members of a group that nothing held stands in the way of: the first after `cursor`, and whether there is
  // one at or before it (the first).
  struct Free {
    LockTicket after = 0, before = 0;  // 0: none
  };
  Free FreeWaiters(const GroupKey& key, LockTicket cursor);
  // A group that may have become free and was not told of since; none: FreeWaiters tells the truth.
  std::optional<GroupKey> TakeStale();

  bool empty() const { return holders_.empty() && groups_.empty(); }

 private:
  struct Range {
    uint64_t end = 0;
    LockType type = LockType::kRead;
    uint32_t pid = 0;
  };
  using Ranges = std::map<uint64_t, Range>;  // by start; disjoint, neighbours of one type are merged
  struct Holder {
    std::optional<uint32_t> uid;
    Ranges ranges;
  };
  struct Blocker {
    LockOwner owner;
    uint64_t point = 0;  // that the owner holds
  };
  struct Group {
    std::set<LockTicket> tickets;
    std::map<LockOwner, std::set<LockTicket>> by_owner;
    std::array<std::optional<Blocker>, 2> blockers;  // of different owners; the second only if asked for
  };
  using Groups = std::map<GroupKey, Group>;
  using Note = std::tuple<LockOwner, LockType, uint64_t, GroupKey>;  // type: the group's; the point
  // An owner may no longer be in the way, between these, of groups of the type.
  struct GivenUp {
    LockOwner owner;
    LockType type = LockType::kRead;
    uint64_t start = 0, end = 0;
    std::optional<Note> after;  // up to which the notes have been looked up; a group may stand there anew
  };
  std::set<Note>::iterator FirstNote(const GivenUp& what);

  RangeIndex& IndexOf(LockType type) { return type == LockType::kWrite ? writes_ : reads_; }
  void Put(LockOwner owner, Ranges& ranges, uint64_t start, const Range& range);
  Ranges::iterator Drop(LockOwner owner, Ranges& ranges, Ranges::iterator it);
  void NoteGivenUp(LockOwner owner, const LockRequest& request);
  std::optional<RangeIndex::Entry> AnyBlocker(const GroupKey& key, std::optional<LockOwner> except);
  void FindBlocker(const GroupKey& key, Group& group, size_t slot);
  void ForgetBlocker(const GroupKey& key, Group& group, size_t slot);
  // The members that may go now; null: none.
  const std::set<LockTicket>* FreeOf(const GroupKey& key, Group& group);

  std::map<LockOwner, Holder> holders_;
  RangeIndex reads_, writes_;  // what holders_ has
  Groups groups_;
  std::set<Note> notes_;          // what the groups' blockers say, to be found by what an owner gives up
  std::deque<GivenUp> given_up_;  // of which the notes have not been looked up
};

}  // namespace kfs::meta
