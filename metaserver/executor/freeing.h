// What a volume frees by itself, in bounded steps: inodes without a name (orphans), once nobody has them open,
// and chunks behind the end of files that were cut (file_chunks.h). Loop's thread only.
//
//   last name gone -> Linger, a second -> MaybeReap -> queued -> Step: some chunks at a time -> gone
//   last close, the end of grace ----------^
//   cut by more than a step -> StartTrim --------------------> Step: the same
//
// Who has begun something by QueueAllOrphans or StartTrim tells the volume (Changed), once it is open.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

#include "common/clock.h"
#include "common/status.h"
#include "common/types.h"

namespace kfs::meta {

class Txn;
class Volume;

class Freeing {
 public:
  static constexpr size_t kStep = 32;         // inodes looked at in one step
  static constexpr uint64_t kReapStep = 128;  // chunks freed in one step
  static constexpr auto kLinger = std::chrono::seconds(1);
  static constexpr size_t kLingerMax = 100000;  // inodes; beyond it the oldest go early

  Freeing(Volume& volume, Clock& clock) : volume_(volume), clock_(clock) {}

  // ---- orphans
  // The inode may be one that nobody holds any more.
  void MaybeReap(Ino ino);
  // It has lost its last name, a moment ago. On a local disk a path that was looked up before can still be
  // opened after; here lookup and open are two messages, so the inode stays for as long as they may lie apart
  // (kLinger). Without this, open() of a file that others keep replacing by rename would fail with ESTALE.
  void Linger(Ino ino);
  bool Lingers(Ino ino) const { return lingering_.contains(ino); }
  // Those whose time is over may go on their way.
  void EndLinger();
  // All that the database has, in the next steps: only now is it known which of them nobody holds.
  void QueueAllOrphans();
  size_t orphans() const { return reap_.size(); }

  // ---- files that were cut, and have chunks behind their end yet
  struct Trim {
    uint64_t before = 0;  // chunks with lower numbers are to go
    uint64_t from = 0;    // from this index on
  };
  const Trim* FindTrim(Ino ino) const {
    auto it = trims_.find(ino);
    return it == trims_.end() ? nullptr : &it->second;
  }
  void StartTrim(Ino ino, uint64_t before) { trims_[ino] = {before, 0}; }
  void TrimFrom(Ino ino, uint64_t index) { trims_.at(ino).from = index; }
  void EndTrim(Ino ino) { trims_.erase(ino); }

  void Step();
  bool HasStep() const;

 private:
  void QueueStep();
  void LingerStep();
  void LingersNoMore();  // the first
  void ReapStep();
  void EndReap();
  void TrimOne();
  // A change of ReapStep or TrimOne; while it has to wait for others both do.
  Status Change(const std::function<Status(Txn&)>& change);

  Volume& volume_;
  Clock& clock_;
  std::deque<Ino> reap_;
  uint64_t reap_from_ = 0;  // of the first one: the chunks before are gone
  std::unordered_set<Ino> reap_queued_;
  std::map<Ino, Trim> trims_;
  bool waits_ = false;             // for others who are asked first
  bool orphans_to_queue_ = false;  // from this key on
  std::string orphans_from_;
  std::deque<std::pair<MonoTime, Ino>> linger_;  // in order of their end
  MonoTime linger_end_{};                        // until which they have gone, or go in the next steps
  std::unordered_set<Ino> lingering_;
};

}  // namespace kfs::meta
