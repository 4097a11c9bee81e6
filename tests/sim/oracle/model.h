// What a file system is, written as simply as can be: the state of one part of it (all names; one file's
// content; one file's locks), and what each call does to it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/oracle/history.h"

namespace kfs::sim {

class Model {
 public:
  virtual ~Model() = default;
  virtual std::unique_ptr<Model> Copy() const = 0;
  // Does the call. False: here and now it does not come out as it did. Of a call of unknown outcome anything
  // may come.
  virtual bool Do(const Step& step) = 0;
  // It has fallen back from the state `later`: what of that may still be there.
  virtual void FellBackFrom(const Model& /*later*/) {}
  // A chunkserver has lost its power; calls that were under way then, and are not done.
  virtual void LostData(const std::vector<const Step*>& /*under_way*/) {}
  // All that later calls can see, as text.
  virtual std::string State() const = 0;
};

// The tree. Inodes are known by the numbers that the file system gave them.
class Names : public Model {
 public:
  static constexpr uint64_t kRoot = 1;
  Names() { dirs_[kRoot] = {}; }
  std::unique_ptr<Model> Copy() const override { return std::make_unique<Names>(*this); }
  bool Do(const Step& step) override;
  std::string State() const override;

 private:
  using Entries = std::map<std::string, uint64_t>;
  // Made by a call that nobody heard the end of: its number is told by the first who sees it.
  static constexpr uint64_t kUnheard = uint64_t{1} << 63;

  int Made(const Step& step, bool dir);
  int Removed(const Step& step, bool dir);
  int Renamed(const Step& step);
  bool IsDir(uint64_t ino) const { return dirs_.contains(ino); }
  bool Below(uint64_t dir, uint64_t above) const;
  bool Same(uint64_t* known, uint64_t seen);
  void Rename(uint64_t from, uint64_t to);
  bool Listed(const Step& step);

  std::map<uint64_t, Entries> dirs_;
  std::map<uint64_t, int> links_;  // of files
  uint64_t next_unheard_ = kUnheard;
};

// A file's blocks. Each is what was written last. It is one of several values until somebody has read it
//   - when the metaserver has forgotten calls with its power, for chunkservers have their data all the same;
//   - when a chunkserver has lost its power: what was written since the last fsync may be gone, sector by
//     sector. A chunk that was not there at the last fsync may be gone as a whole: then it cannot be read or
//     written.
// An fsync that succeeds says that nothing is gone of what its own mount has written.
class Content : public Model {
 public:
  static constexpr uint64_t kBlocksOfChunk = 4;
  // `losses`: of chunkservers.
  explicit Content(std::vector<PowerLoss> losses = {})
      : losses_(std::make_shared<const std::vector<PowerLoss>>(std::move(losses))) {}
  std::unique_ptr<Model> Copy() const override { return std::make_unique<Content>(*this); }
  bool Do(const Step& step) override;
  void FellBackFrom(const Model& later) override;
  void LostData(const std::vector<const Step*>& under_way) override;
  std::string State() const override;

 private:
  using Values = std::set<uint64_t>;
  struct Block {
    Values now = {0};
    Values since_sync = {0};     // what it has been since it was durable, and what was durable
    bool torn = false;           // may be a mixture
    bool outlived = false;       // not written since the last loss
    int by = -1, promised = -1;  // who wrote it last; whose fsync has to tell when it is gone
    uint64_t last = 0;           // value of that write
    void Write(const Step& step, bool lost_meanwhile);
    void Lost();
    void Settle(uint64_t value, bool durable);
  };
  struct Chunk {
    bool durable = false, gone = false;  // maybe gone
  };
  bool LostMeanwhile(const Step& step) const;
  bool MayFail(uint64_t block) const;
  bool Read(const Step& step);
  bool Synced(const Step& step);
  void Written(const Step& step, uint64_t block);
  Values At(uint64_t block) const;
  void Resize(uint64_t size);

  std::shared_ptr<const std::vector<PowerLoss>> losses_;
  std::vector<Block> blocks_;
  std::map<uint64_t, Values> behind_;  // behind the end, should it move there: besides 0
  std::map<uint64_t, Chunk> chunks_;   // in which something was written
};

// Exclusive locks of whole blocks.
class Locks : public Model {
 public:
  std::unique_ptr<Model> Copy() const override { return std::make_unique<Locks>(*this); }
  bool Do(const Step& step) override;
  std::string State() const override;

 private:
  std::map<uint64_t, uint64_t> held_;  // block -> owner
};

}  // namespace kfs::sim
