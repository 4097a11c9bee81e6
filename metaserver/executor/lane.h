// A lane of a session: one of its connections, with the op ids that come on it (docs/protocol.md). There is
// lane 0, and up to kLanesMax - 1 more for a mount with several threads that speak for it; mounts of this version
// use lane 0. Loop's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <set>

namespace kfs {
class Connection;
}

namespace kfs::meta {

struct Lane {
  std::shared_ptr<Connection> connection;  // null: not attached
  uint64_t connection_number = 0;          // of the last attachment; they rise over all lanes
  uint64_t left_connection = 0;  // the last that has ended: what came on it and has not run is dropped
  bool attached() const { return connection_number > left_connection; }

  uint64_t acked = 0;
  // Which answers the client has said to have: all up to `to` but `but` (rec::Answered). What is not among
  // these, nor stored, this database does not know of. Not `exact`: of a version that did not write it down.
  struct Answered {
    bool exact = false;
    uint64_t to = 0;
    std::set<uint64_t> but;
  };
  Answered answered;

  uint64_t reclaimed_up_to = 0;  // op ids handed out by the client when it reclaimed
  // The same when it began to say which locks it has: what ops up to there give back nobody has told of. A
  // lock of that owner came after them, although they come here only now.
  uint64_t unlocked_up_to = 0;
};

}  // namespace kfs::meta
