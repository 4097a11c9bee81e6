// What may be deleted: garbage records, inventories, orphans, and numbers that were passed over, in the
// executor, against chunkservers that do what they are told. Files are written, cut, replaced, removed while
// they are open, and left by programs that die; the metaserver ends at any write, with the power or without,
// and messages come late.
//
// What a file names is never deleted, and in the end nothing is left that no file names.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "metaserver/store/keys.h"
#include "tests/sim/parts/file_program.h"
#include "tests/sim/parts/meta_run.h"
#include "tests/sim/parts/model_chunks.h"

namespace kfs::sim {
namespace {

constexpr Nanos kSessionTtl = 8 * kSecond;
// Sessions that nobody has claimed are over, what was very late has come, and inventories have been told.
constexpr Nanos kQuiet = 60 * kSecond;

enum Planted {
  kNone,
  kGarbageUnsynced,
  kInventoryUnsynced,
  kNamelessClosed,
  kPassedOverForgotten,
  kOrphansForgotten
};

class GarbageRun : public MetaRun {
 public:
  explicit GarbageRun(const PartPlan& plan)
      : MetaRun(plan,
                {.mounts = 0, .session_ttl = kSessionTtl, .faults_within = 5 * kSecond, .mounts_die = false},
                {}),
        planted_(static_cast<Planted>(plan.planted)),
        chunks_(world_, *meta_, static_cast<int>(world_.Between(1, 3)), &figures_) {
    chunks_.inventories_unsynced = planted_ == kInventoryUnsynced;
    meta_->links = [this] { return chunks_.Links(); };
    meta_->extend = [this] { return Began(); };
    meta_->on_timer = [this] { Timer(); };
    meta_->on_end = [this] { Ended(); };
  }

 private:
  void PowerLost() override { power_ = true; }

  // ---- the metaserver's ends and starts
  void Ended() {
    rec::VolumeCounters counters;
    if (const auto found = meta_->OnDisk(meta::CountersKey().str())) (void)counters.ParseFromString(*found);
    chunks_.Ended(power_, counters.next_chunk());
    for (const auto& p : programs_) p->MetaserverEnded(power_);
    power_ = false;
  }
  std::shared_ptr<void> Began() {
    meta::Volume* volume = meta_->volume();
    if (volume == nullptr) return nullptr;  // killed at its first write
    chunks_.Began(*volume);
    if (planted_ == kPassedOverForgotten) Forget(*volume, "U");
    if (planted_ == kOrphansForgotten) Forget(*volume, "O");
    for (const auto& p : programs_) p->MetaserverBegan();
    return chunks_.Serve();
  }
  static void Forget(meta::Volume& volume, const char* prefix) {
    std::vector<std::string> keys;
    volume.store.Scan(prefix, "", [&keys](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return true;
    });
    for (const std::string& key : keys) volume.store.db().Delete(key);
  }
  void Timer() {
    for (const auto& p : programs_) {
      p->KeepAlive();
      if (planted_ == kNamelessClosed) p->ForgetNameless();
    }
    if (planted_ != kGarbageUnsynced) return;
    meta_->volume()->store.Scan("G", "", [this](std::string_view key, std::string_view) {
      chunks_.TellGarbage(meta::KeyU64(key, 1), {meta::KeyU64(key, 9)}, "its records");
      return true;
    });
  }

  // ---- the history
  void StartPrograms() override {
    chunks_.Calm(plan_.quiet);
    chunks_.on_told = [this] { MayLosePower(0.4); };
    chunks_.on_made = [this] { MayLosePower(0.05); };
    power_losses_left_ = world_.Between(0, 1) == 0 ? 0 : world_.Between(1, 3);
    chunks_.Start(world_.Chance(0.3) ? 100 * kMilli : world_.Between(kSecond, 6 * kSecond));
    const int programs = static_cast<int>(world_.Between(1, 3));
    for (int i = 0; i < programs; ++i) {
      programs_.push_back(std::make_shared<FileProgram>(world_, *meta_, chunks_, i, programs, &figures_));
      Watch(*programs_.back());
      programs_.back()->Start();
    }
  }
  void OtherFault() override {
    if (world_.Chance(0.5)) return chunks_.GoDown();
    if (world_.Chance(0.2)) return chunks_.Renumber();
    if (world_.Chance(0.5)) return programs_[world_.Draw() % programs_.size()]->Die();
    if (meta_->up())
      world_.At(world_.now(), meta_->process(), [this] {
        if (meta_->executor() != nullptr) meta_->StopCleanly();
      });
    StartAgain();
  }

  // Where something has just been done that the log may not have for good.
  void MayLosePower(double chance) {
    if (power_losses_left_ == 0 || !world_.Chance(chance)) return;
    --power_losses_left_;
    const Nanos most = world_.Chance(0.5) ? kMilli : 100 * kMilli;
    world_.At(world_.now() + world_.Between(0, most), nullptr, [this] {
      if (over() || !meta_->up()) return;
      ++figures_.faults;
      meta_->Crash(/*power=*/true);
      StartAgain();
    });
  }

  // ---- what must hold in the end
  void Judge() override {
    // Once more when nobody is there, and some of what they had is to be let go yet.
    if (!plan_.quiet && world_.Chance(0.3)) {
      world_.RunUntil(world_.now() + world_.Between(0, kSecond));
      meta_->Crash(world_.Chance(0.5));
      world_.RunUntil(world_.now() + kMilli);
      meta_->Start();
    }
    chunks_.Calm(true);
    chunks_.ReportWithin(10 * kSecond);
    world_.RunUntil(world_.now() + kQuiet);
    if (!figures_.ok) return;
    meta::Volume* volume = meta_->volume();
    if (volume == nullptr) return figures_.Wrong("the metaserver is down");
    std::set<uint64_t> named_inodes;
    volume->store.Scan("D", "", [&](std::string_view, std::string_view value) {
      rec::Dentry name;
      (void)name.ParseFromArray(value.data(), static_cast<int>(value.size()));
      named_inodes.insert(name.ino());
      return true;
    });
    for (const char* owed : {"G", "M", "O", "T"}) {
      volume->store.Scan(owed, "", [&](std::string_view key, std::string_view value) {
        // Owed to a number that nobody has any more; a chunk that it held would have been taken back.
        rec::Mutation m;
        if (key[0] == 'G' && !chunks_.Current(meta::KeyU64(key, 1))) return true;
        if (key[0] == 'M' && m.ParseFromArray(value.data(), static_cast<int>(value.size())) &&
            !chunks_.Current(m.server(0)))
          return true;
        figures_.Wrong(fmt::format("a record {} is left", owed));
        return false;
      });
    }
    ModelChunks::Named named;
    volume->store.Scan("K", "", [&](std::string_view key, std::string_view value) {
      rec::Chunk chunk;
      (void)chunk.ParseFromArray(value.data(), static_cast<int>(value.size()));
      const uint64_t ino = meta::KeyU64(key, 1), server = chunk.server(0);
      if (!named_inodes.contains(ino))
        figures_.Wrong(fmt::format("chunk {} is kept for inode {}, which has no name", chunk.chunk(), ino));
      if (chunk.written() && chunks_.Held(server, chunk.chunk()) < chunk.version())
        figures_.Wrong(fmt::format("chunk {} of inode {} is at version {} and not at {}", chunk.chunk(), ino,
                                   chunks_.Held(server, chunk.chunk()), chunk.version()));
      if (chunk.written() && !chunks_.Current(server))
        figures_.Wrong(
            fmt::format("chunk {} is named on chunkserver {}, and has come back under another number",
                        chunk.chunk(), server));
      named.insert({ModelChunks::WhoIs(server), chunk.chunk()});
      return true;
    });
    if (const std::string left = chunks_.Left(named); !left.empty()) figures_.Wrong(left);
  }

  const Planted planted_;
  ModelChunks chunks_;
  std::vector<std::shared_ptr<FileProgram>> programs_;
  bool power_ = false;
  int64_t power_losses_left_ = 0;
};

}  // namespace

PartFigures RunGarbage(const PartPlan& plan) { return GarbageRun(plan).Go(); }

}  // namespace kfs::sim
