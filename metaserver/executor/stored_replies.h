// Answers that are stored and not acknowledged yet: on disk, their ids with their session (Session::replies),
// and here how much all of them take. Loop's thread only.
#pragma once

#include <cstdint>

#include "common/status.h"
#include "metaserver/executor/session.h"
#include "metaserver/store/records.pb.h"

namespace kfs::meta {

class StoredReplies {
 public:
  static constexpr size_t kWeight = 128;           // in bytes, of one, besides its record
  static constexpr size_t kUnansweredWeight = 64;  // of an id in Lane::Answered

  explicit StoredReplies(const rec::Volume& volume) : volume_(volume) {}

  void Add(Session& session, uint64_t op_id, uint32_t life, size_t record_bytes);
  Session::Replies::iterator Drop(Session& session, Session::Replies::iterator it);
  // Of a session that has ended.
  void DropFirst(Session::Replies* of_ended);
  // Which answers a client says that it does not have (Lane::Answered) is kept as it says, and counts with them.
  // False: it is too much, and nothing is changed.
  bool SetAnswered(Session& session, Lane& lane, Lane::Answered answered);
  // The same of what was on disk already, however much.
  void TakeAnswered(Session& session, Lane& lane, Lane::Answered answered);
  // It has all up to there.
  void Acknowledged(Session& session, Lane& lane, uint64_t acked);
  // The session has ended.
  void Ended(Session& session);
  // kTryAgain when those of all sessions take too much. Those of one more are refused; what is there stays.
  Status Room(const Session& session) const;
  size_t bytes() const { return bytes_; }

  // In bytes, of all sessions; and what each may have in any case, as a client needs that acknowledges.
  size_t bytes_max = 256u << 20;
  size_t always = 64u << 10;

 private:
  const rec::Volume& volume_;
  size_t bytes_ = 0;
};

}  // namespace kfs::meta
