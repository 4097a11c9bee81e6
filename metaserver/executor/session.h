// One mount, as the metaserver knows it. id, key, who it is, its root and its rights are durable; everything
// else is memory, told again by the client (Reclaim) after a restart of the metaserver. Loop's thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "common/chunk_token.h"
#include "common/clock.h"
#include "common/status.h"
#include "common/types.h"
#include "metaserver/base/call.h"
#include "metaserver/executor/lane.h"
#include "metaserver/executor/remembered.h"
#include "metaserver/executor/session_view.h"
#include "proto/chunk.pb.h"

namespace kfs::meta {

class Volume;
struct Reclaiming;

// An inode that a session has open.
struct Opens {
  uint32_t count = 0;
  // Bits of ChunkRights. Which of several handles is released is not said, so they stay until the last.
  uint32_t rights = 0;
};

struct Session {
  SessionId id;
  std::string key;
  std::string host, mountpoint, client_id;
  int64_t opened = 0;   // wall time
  Ino root = kRootIno;  // what it sees as inode 1
  std::string path;     // that led there, for a person
  rec::Rights rights;
  std::unique_ptr<Reach> reach;  // null: it is not confined
  Volume* volume = nullptr;      // null once the session has ended
  size_t endings = 0;            // of it that are under way (executor/ending.h)
  Status elsewhere;              // not ok: it lives on, but the volume is no longer served here

  std::map<uint8_t, Lane> lanes{{0, {}}};  // that it has ever used, at most kLanesMax
  uint64_t attachments = 0;                // of all lanes, so far
  // REQUIRES: it is among them.
  Lane& lane(uint8_t n) { return lanes.at(n); }
  // One of its connections; null: it has none.
  const std::shared_ptr<Connection>& connection() const {
    const auto has = [](const auto& l) { return l.second.connection != nullptr; };
    const auto it = std::find_if(lanes.begin(), lanes.end(), has);
    return it == lanes.end() ? lanes.begin()->second.connection : it->second.connection;
  }
  bool attached() const {
    return std::any_of(lanes.begin(), lanes.end(), [](const auto& l) { return l.second.attached(); });
  }
  bool closing = false;  // the client has said goodbye, and it waits for its turn
  MonoTime last_heard{};
  bool reclaimed = true;  // false: known from before a restart and has not yet said what it holds
  MonoTime unreclaimed_since{};
  // An expired session has lost its locks and open files. Its stored replies stay for a while: a client that
  // comes back sends again what it had under way, and that happens once.
  int64_t expired = 0;                               // wall time; 0: it has not, or has attached again
  uint32_t expiries = 0;                             // so far
  uint8_t reclaim_lane = 0;                          // on which the reclaiming under way began,
  uint64_t reclaim_connection = 0;                   // and the connection
  std::deque<std::shared_ptr<Reclaiming>> reclaims;  // the first is under way (executor/reclaim.h)
  bool revived = false;  // it had expired since this metaserver began, so that it has nothing to tell again

  std::unordered_map<Ino, Opens> opens;
  // What stored answers of before this start have opened, by op id: the client may not have them, and asks
  // again (OpenFiles::Heard).
  std::map<uint64_t, Ino> unheard_opens;
  // What it may touch chunks with (Tickets): under the present serial, by chunkserver.
  uint64_t ticket_serial = 1;
  std::map<ServerId, pb::SessionTicket> tickets;
  std::map<ServerId, std::pair<std::string, std::string>> link_keys;  // id and key, made once a day
  // Stored replies not yet acknowledged, by op id (so a lane's are together), and in which of the session's
  // lives each was given. A life ends with the memory of what it held: when the metaserver restarts (0:
  // before that), when it expires. So an expiry need not look at each of them.
  struct Stored {
    uint32_t life = 0;
    uint32_t bytes = 0;  // that it counts for
  };
  using Replies = std::map<uint64_t, Stored>;
  Replies replies;
  size_t stored_bytes = 0;  // of them
  uint32_t life = 1;
  Remembered remembered;  // those of ops that are not logged
  size_t replies_kept() const { return replies.size() + remembered.size(); }
  // Of a version before: any op that is not stored it takes for a lost change
  // (OpenSessionRequest.counts_logged).
  bool counts_all = false;
  // Its programs' calls, as it tells with its signs of life: of the minute under way and the one before, so
  // that whoever looks once a minute misses none.
  struct Calls {
    uint64_t count = 0, micros = 0, slowest_micros = 0;
    void Add(const Calls& more) {
      count += more.count;
      micros += more.micros;
      slowest_micros = std::max(slowest_micros, more.slowest_micros);
    }
  };
  void NoteCalls(const Calls& told, MonoTime now) {
    constexpr auto kPeriod = std::chrono::seconds(60);
    if (now - calls_since >= kPeriod) {
      calls_before = now - calls_since < 2 * kPeriod ? calls_now : Calls{};
      calls_now = Calls{};
      calls_since = now;
    }
    calls_now.Add(told);
  }
  Calls RecentCalls() const {
    Calls all = calls_before;
    all.Add(calls_now);
    return all;
  }
  Calls calls_now, calls_before;
  MonoTime calls_since{};
  // Calls that wait; those with an op id by it.
  std::map<uint64_t, ParkedPtr> waiting;
  ParkedSet parked;
  std::shared_ptr<size_t> parked_bytes = std::make_shared<size_t>(0);  // of their requests
  std::set<Ino> append_tokens;
};
using SessionPtr = std::shared_ptr<Session>;

}  // namespace kfs::meta
