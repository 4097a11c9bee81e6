// One transaction as its originator drives it: lock, stage, brick, commit, unlock, each asked of every
// member, with itself as the first. A change needs a majority of the members (but see GiveUpMembers); a
// transaction that only reads needs nobody's consent and names those who did not answer.
//
//   Default -> LockSent -> StageOpSent -> BrickOpSent -> CommitOpSent -> UnlockSent -> Default
//                 |             |              |               |             ^
//              AckDrain   StageOpFailed  BrickOpFailed   CommitOpFailed -----+   (wait for the other answers)
//
// If the lock's majority has accepted a change that is not known to be decided, that one is finished first,
// and its own follows. Once a commit was sent the answer is success or "outcome unknown", never a plain
// failure. Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/cluster/acceptor.h"
#include "metaserver/cluster/environment.h"
#include "metaserver/cluster/participant.h"
#include "metaserver/cluster/transition_log.h"

namespace kfs::meta {

enum class OpState {
  kDefault,
  kLockSent,
  kAckDrain,
  kStageOpSent,
  kStageOpFailed,
  kBrickOpSent,
  kBrickOpFailed,
  kCommitOpSent,
  kCommitOpFailed,
  kUnlockSent
};
// RcvdAcc and RcvdRjt: one answer. AllAcc: enough of them, nobody to wait for. AllAck: nobody to wait for.
enum class OpEvent { kStartLock, kRcvdAcc, kRcvdRjt, kAllAcc, kAllAck };
std::string_view NameOf(OpState state);
std::string_view NameOf(OpEvent event);

struct Command {
  std::string words;  // as typed
  bool read = false;
  bool dry_run = false;  // lock and stage only
  pb::Change change;     // not set: nothing but finish what is undecided
  Duration timeout = std::chrono::seconds(20);
  // Of the transaction, if whoever asks may have to ask again: a change is made once under one id. Empty: a
  // new one.
  std::string id;
};

struct Outcome {
  enum Kind { kDone, kNothingChanged, kUnknown } kind = kNothingChanged;
  Status status;
  uint64_t generation = 0;                     // of the decided configuration, if done
  std::map<std::string, std::string> reports;  // by member, of a read
  std::vector<std::string> unreachable;        // members, by uuid
  std::map<std::string, std::string> apart;    // those of them that did answer: why they took no part
  std::vector<std::string> preview;            // dry run: what would change
};

class Originator {
 public:
  using Done = std::function<void(const Outcome&)>;

  Originator(ClusterEnv& env, Acceptor& acceptor, Participant& self, Command command);
  ~Originator() { lifetime_.End(); }

  // Calls `done` with the outcome, at once if there is one.
  void Attach(Done done);
  size_t waiters() const { return done_.size(); }
  void Start();
  void OnReply(const std::string& from, uint64_t incarnation, const pb::PhaseReply& reply);
  // Phase deadlines, the next attempt.
  void OnTimer();

  const std::string& id() const { return id_; }
  const Command& command() const { return command_; }
  OpState state() const { return state_; }
  bool finished() const { return finished_; }
  MonoTime started() const { return started_; }
  const TransitionLog& log() const { return log_; }
  // What each member said in the phase under way, or how it has refused the attempt, for people; empty:
  // nothing yet.
  std::map<std::string, std::string> Answers() const;
  // Gives the attempt up, if it can still be: before a commit was sent.
  bool Abort();
  // Nobody wants it any more: what is under way is ended as Abort does it, or goes on, and no further attempt
  // is made.
  void GiveUp();

  static constexpr auto kPhaseTimeout = std::chrono::milliseconds(1000);
  static constexpr auto kReadTimeout = std::chrono::milliseconds(500);  // a read waits for nobody for long
  static constexpr auto kReadWhole = std::chrono::milliseconds(1600);   // all of its phases
  static constexpr auto kLastWait = std::chrono::milliseconds(150);     // in a phase, past the command's time
  static constexpr auto kBrickTimeout = std::chrono::milliseconds(1500);
  static constexpr auto kLease = std::chrono::seconds(5);

 private:
  friend struct OpTables;
  struct Answer {
    enum Kind { kNone, kAcc, kRjt, kUnreachable } kind = kNone;
    uint64_t incarnation = 0;
    pb::PhaseReply reply;
  };
  using Handler = void (Originator::*)();

  void Inject(OpEvent event);
  void Ask(pb::Phase phase, Duration timeout);
  void SendTo(const std::string& uuid);
  void Weigh();
  void Raise(OpEvent event);
  Duration Patience() const { return command_.read ? kReadTimeout : kPhaseTimeout; }
  size_t Votes() const;
  size_t Needed() const;
  std::string Named() const;  // the command, for messages
  bool EveryoneAnswered() const;
  bool MajorityImpossible() const;
  void NoMajority();
  void Refuse(const std::string& uuid, const pb::PhaseReply& reply);
  void NextAttempt();
  void Finish(Outcome outcome);

  // Handlers of the table.
  void SendLock();
  void SendStage();
  void SendBrick();
  void SendCommit();
  void SendUnlock();
  void SendDecision();
  void Ended();

  ClusterEnv& env_;
  Acceptor& acceptor_;
  Participant& self_;
  const Command command_;
  const std::string id_;
  std::vector<Done> done_;
  const MonoTime started_;
  TransitionLog log_;
  OpState state_ = OpState::kDefault;
  std::deque<OpEvent> queue_;
  bool finished_ = false;
  Outcome outcome_;  // once it is

  // The attempt under way.
  pb::ClusterConf base_;
  pb::Ballot ballot_;
  uint64_t counter_seen_ = 0;
  pb::Change change_;  // the command's, and which members it may choose from
  pb::ClusterConf value_;
  bool finishing_ = false;  // an earlier, undecided change instead of our own
  bool proposed_ = false;   // our own change was sent for commit, in this attempt or an earlier one
  bool decided_ = false;
  pb::PhaseRequest request_;
  std::map<std::string, Answer> answers_;        // by member asked
  std::set<std::string> helped_;                 // members that were behind and were told
  std::map<std::string, std::string> refusals_;  // by member: phase and words
  MonoTime deadline_{}, retry_at_{};
  bool told_ = false;     // in this state, that it is over
  bool waiting_ = false;  // for the next attempt
  bool given_up_ = false;
  bool retry_ = false;  // the attempt's failure is nobody's refusal
  Status refusal_;
  std::map<std::string, std::string> reports_;
  std::set<std::string> unreachable_;
  std::map<std::string, std::string> apart_;  // of these: who has answered that it stands apart, and why
  Lifetime lifetime_;
};

}  // namespace kfs::meta
