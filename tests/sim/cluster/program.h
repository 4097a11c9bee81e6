// A random program on one mount of a simulated cluster: one call after the other, each noted with what came
// of it (tests/sim/oracle).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/kfs_client.h"
#include "tests/sim/oracle/history.h"
#include "tests/sim/world/process.h"

namespace kfs::sim {

// A block of the oracle's: within a chunk, and several to one.
constexpr uint64_t kBlock = 16 << 10;

// Of a mount, for as long as it lives.
class Program : public std::enable_shared_from_this<Program> {
 public:
  struct Options {
    int number = 0, client = 0;
    int calls = 30;
    std::vector<Ino> files;  // there already
    // Of these names in the root, which it removes now and then; empty: it leaves them.
    std::vector<std::string> names;
    // All programs want the same blocks, write where they have the lock, and give writes up.
    bool rivals = false;
  };
  Program(World& world, std::shared_ptr<Process> process, KfsClient* client, History* history,
          Options options);

  // Opens its files and begins, within an event of the process.
  void Start();
  // Whether it has come to its end, or its mount has.
  bool ended() const { return ended_; }
  // The mount is gone, or has lost what it held: nobody will hear of the call under way, and its locks go
  // when the metaserver likes.
  void Abandon();
  bool writes() const {
    return !ended_ && under_way_ != SIZE_MAX && history_->steps[under_way_].call == Call::kWrite;
  }
  // The call under way, if it still is then.
  void GiveUp();

 private:
  struct Lock {
    Ino ino;
    uint64_t block;
    auto operator<=>(const Lock&) const = default;
  };
  void OpenNext(size_t file);
  void Next();
  void Pick();
  void Choose();
  void Names(Step& step);
  void Content(Step& step);
  void Rival(Step& step);
  bool UnlocksLast() const;
  void Reopen(uint64_t ino, const std::function<void()>& then);
  void MayGiveUp();
  void Begin(Step step);
  void Ask(const Step& step);
  void AskName(const Step& step);
  void AskFile(const Step& step);
  // What came of the call under way.
  void Ended(int err, uint64_t got = 0, std::map<std::string, uint64_t> names = {});
  void EndedWith(const Status& status) { Ended(status.err()); }
  void Learn(const Step& step);
  void Unlock(const Lock& lock);
  void LocksMayGo();
  void LockMayGo(const Lock& lock, Nanos since);
  uint64_t AnyDir();
  std::string AnyName();
  uint64_t AnyFile();

  World& world_;
  const std::shared_ptr<Process> process_;
  KfsClient* const client_;
  History* const history_;
  const Options options_;
  const Caller caller_;
  std::map<uint64_t, FileHandlePtr> handles_;
  std::set<uint64_t> anew_;        // of these
  std::vector<uint64_t> dirs_{1};  // that it has heard of, perhaps gone
  std::vector<uint64_t> others_;   // files that it has heard of
  std::map<Lock, Nanos> locks_;    // since when, at the earliest
  int left_;
  size_t under_way_ = SIZE_MAX;  // in history_->steps
  CallId call_ = 0;              // of a write under way
  bool gave_up_ = false;         // the last call
  bool ended_ = false;
};

}  // namespace kfs::sim
