// What stands between a run of an op and its effect: what other sessions hold of the inodes that the run has
// seen and changed. A run that conflicts with it is dropped; the holders are asked to give it back, and when
// all have, the op runs again.
//
//   run -> Conflicts: none -> it counts
//             `-> dropped, parked -> Ask -> each holder: answered | ended or expired | kAskMax -> runs again
//
// Nothing is kept for who asks: it runs as any other, and asks again where it finds somebody in its way
// again. A holder that is asked goes on with its own ops, which its holds do not stand in the way of.
//
// About one hold one question is under way at a time. Who comes while it is waits for another one, that is
// asked when this one is over: the answer under way may have been given before what the newcomer waits for.
//
// What is no op and changes inodes comes through Volume::Change, which asks the same way. So far no kind of holder
// has anything: queued releases of a kernel stand in nobody's way by themselves (Executor::FlockHolders asks for
// them), and leases are to come.
//
// Kinds of holders differ in what stands in the way of what, and in how they are asked. Loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "common/clock.h"
#include "common/lifetime.h"
#include "common/status.h"
#include "common/types.h"
#include "metaserver/executor/session.h"
#include "metaserver/store/txn.h"

namespace kfs::meta {

enum class HoldMode : uint8_t {
  kShared,     // others may see it, too: given back only for who changes it
  kExclusive,  // nobody else may hold it
};

// Who has to give back what, before a run counts.
struct Need {
  SessionId holder;
  Ino ino;
  HoldMode mode = HoldMode::kExclusive;  // as which who asks wants it
  size_t kind = 0;                       // filled in by Conflicts
};

// One kind of what sessions hold.
class Holders {
 public:
  virtual ~Holders() = default;
  // Adds what has to be given back for a run of `who` (0: nobody's, the volume's own work) that has seen and
  // changed these, by sessions that are there: one that has ended or expired holds nothing. What `who` holds
  // itself is passed over by the gate.
  virtual void Conflicts(const Volume& volume, const Txn& txn, SessionId who, std::vector<Need>* needs) = 0;
  // Asks the session, which has a connection. `done` once, when it has answered or its connection is lost.
  virtual void Ask(const SessionPtr& holder, Ino ino, HoldMode mode, std::function<void()> done) = 0;
};

class Gate {
 public:
  using Fn = std::function<void()>;
  // The session, while it holds anything: null when it has ended or expired.
  using FindFn = std::function<SessionPtr(SessionId)>;

  // A mount that is busy with its kernel answers late or never. What it holds stays its own until its session
  // expires: who asks is told what it finds then, or asks again.
  static constexpr auto kAskMax = std::chrono::seconds(2);
  static constexpr size_t kAsksOfHolderMax = 1024;  // under way with one session

  Gate(Clock& clock, FindFn find) : clock_(clock), find_(std::move(find)) {}

  // Gives its number. It lives as long as the gate is used.
  size_t Add(Holders* kind);
  // Empty: the run may count.
  std::vector<Need> Conflicts(const Volume& volume, const Txn& txn, SessionId who) const;
  // For an op. kTryAgain: one of the holders is asked so much already. (What a volume asks for by itself is
  // bounded by what chunkservers have under way.)
  Status MayAsk(const std::vector<Need>& needs) const;
  // `then` once, when each has answered or is not waited for any more; maybe in this call.
  void Ask(const std::vector<Need>& needs, Fn then);
  // The session has ended or expired: it holds nothing.
  void Ended(SessionId holder);
  // Now and then: those that have not answered are not waited for any longer.
  void OnTimer();
  size_t asks() const { return asks_.size(); }

 private:
  using Hold = std::tuple<SessionId, Ino, size_t>;  // holder, inode, kind
  struct Asker {
    size_t left = 1;
    Fn then;
  };
  using Askers = std::vector<std::shared_ptr<Asker>>;
  struct Question {
    uint64_t number = 0;  // an answer to another one does not count
    MonoTime deadline{};
    Askers askers;
    Askers next;  // for whom it is asked again
    HoldMode next_mode = HoldMode::kShared;
  };
  void Send(const Hold& hold, HoldMode mode);
  void Answered(const Hold& hold, uint64_t number);
  static void LetGo(Askers askers);

  Clock& clock_;
  const FindFn find_;
  std::vector<Holders*> kinds_;
  std::map<Hold, Question> asks_;
  std::map<SessionId, size_t> of_holder_;  // of `asks_`
  uint64_t last_number_ = 0;
  Lifetime lifetime_;  // answers may come later than our end
};

}  // namespace kfs::meta
