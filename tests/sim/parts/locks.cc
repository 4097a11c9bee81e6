// Advisory locks: what mounts believe to hold (HeldState) and tell a metaserver that has forgotten it
// (Reclaim), and the metaserver's table; waiting, cancelled waits, late releases, mounts that die.
//
// A program holds what it asked for from the answer on until it asks to give it back, and may hold it from
// its question on until it is answered that it is given back. No two hold what excludes each other; who is
// refused was refused for something that another may have held meanwhile; who waits comes to an end.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "common/log.h"
#include "tests/sim/parts/meta_run.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kBytes = 4;
constexpr int kRounds = 5;
constexpr Nanos kNever = INT64_MAX;

struct Hold {
  int program = 0;
  FileLock lock;
  Nanos asked = 0, gone = kNever;  // may be held from, to
  bool sure = false;
};

bool Exclude(const FileLock& a, const FileLock& b) {
  if (a.flock != b.flock) return false;
  if (a.type != FileLock::kWrite && b.type != FileLock::kWrite) return false;
  return a.flock || (a.start <= b.end && b.start <= a.end);
}

std::string Words(const FileLock& lock) {
  return fmt::format("{}{} {}-{}", lock.flock ? "flock " : "",
                     lock.type == FileLock::kWrite ? "write" : "read", lock.start, lock.end);
}

// All that is and was held, by what the programs know.
class Holds {
 public:
  explicit Holds(PartFigures* figures) : figures_(figures) {}

  size_t Asked(int program, const FileLock& lock, Nanos now) {
    holds_.push_back({program, lock, now});
    return holds_.size() - 1;
  }
  void Granted(size_t which) {
    Hold& mine = holds_[which];
    mine.sure = true;
    for (const Hold& other : holds_) {
      if (other.sure && other.program != mine.program && Exclude(other.lock, mine.lock))
        figures_->Wrong(fmt::format("program {} is given {} while program {} has {}", mine.program,
                                    Words(mine.lock), other.program, Words(other.lock)));
    }
  }
  // EINTR: it may be granted all the same, until the mount hears of that and gives it back.
  void Refused(size_t which, int err, Nanos now) {
    Hold& mine = holds_[which];
    if (err != EINTR) mine.gone = now;
    const bool why = std::ranges::any_of(holds_, [&](const Hold& other) {
      return other.program != mine.program && other.gone >= mine.asked && Exclude(other.lock, mine.lock);
    });
    if (err == EAGAIN && !why)
      figures_->Wrong(
          fmt::format("program {} is refused {}, which nobody excludes", mine.program, Words(mine.lock)));
  }
  const FileLock& GivesBack(size_t which) {
    holds_[which].sure = false;
    return holds_[which].lock;
  }
  void Gone(size_t which, Nanos now) { holds_[which].gone = now; }

 private:
  PartFigures* const figures_;
  std::vector<Hold> holds_;
};

class LockProgram : public PartProgram, public std::enable_shared_from_this<LockProgram> {
 public:
  LockProgram(World& world, MountHost& mount, int number, Ino file, Holds* holds, PartFigures* figures)
      : world_(world), mount_(mount), number_(number), file_(file), holds_(*holds), figures_(figures) {}

  void Start() {
    mount_.client()->Open({}, file_, O_RDWR, [self = shared_from_this()](const Result<KfsClient::Opened>& r) {
      if (self->ended_) return;
      if (!r.ok()) return self->Failed("open", r.status());
      self->handle_ = r->handle;
      self->Next();
    });
  }
  bool ended() const override { return ended_; }
  bool On(const MountHost& mount) const { return &mount_ == &mount; }
  // Its mount has died: what it had it has no more, though the metaserver does not know that yet.
  void Die() {
    if (std::exchange(ended_, true)) return;
    if (mine_) holds_.GivesBack(*mine_);
  }
  std::string UnderWay() const override { return doing_; }

 private:
  void Failed(const std::string& what, const Status& why) {
    figures_->Wrong(fmt::format("program {}: {}: {}", number_, what, why.ToString()));
    ended_ = true;
  }
  void After(Nanos most, void (LockProgram::*what)()) {
    world_.At(mount_.process()->Time() + world_.Between(0, most), mount_.process(),
              [self = shared_from_this(), what] {
                if (!self->ended_) (self.get()->*what)();
              });
  }
  void Next() {
    if (ended_) return;
    if (rounds_++ == kRounds) {
      ended_ = true;
      return;
    }
    After(world_.Chance(0.2) ? kSecond : 30 * kMilli, &LockProgram::Ask);
  }

  void Ask() {
    FileLock lock;
    lock.owner = static_cast<uint64_t>(number_) + 1;
    lock.type = world_.Chance(0.6) ? FileLock::kWrite : FileLock::kRead;
    lock.flock = world_.Chance(0.25);
    if (!lock.flock) {
      lock.start = world_.Draw() % kBytes;
      lock.end = lock.start + world_.Draw() % (kBytes - lock.start);
    }
    const bool wait = world_.Chance(0.7);
    const size_t which = holds_.Asked(number_, lock, world_.now());
    mine_ = which;
    ++figures_->calls;
    doing_ = fmt::format("program {} asks for {}", number_, Words(lock));
    KFS_LOG(debug, "part.asks at={:.3f} call=\"{}\" waits={}", Seconds(world_.now()), doing_, wait);
    const CallId call = mount_.client()->SetLock(
        handle_, lock, wait, [self = shared_from_this(), which](const Status& s) { self->Asked(which, s); });
    if (!wait || world_.Chance(0.7)) return;
    const int round = rounds_;
    world_.At(mount_.process()->Time() + world_.Between(0, kSecond), mount_.process(),
              [self = shared_from_this(), call, round] {
                if (!self->ended_ && self->rounds_ == round && self->mine_)
                  self->mount_.client()->Cancel(call);
              });
  }
  void Asked(size_t which, const Status& s) {
    if (ended_) return;
    KFS_LOG(debug, "part.answered at={:.3f} call=\"{}\" err={}", Seconds(world_.now()), doing_, s.err());
    world_.Note(static_cast<uint64_t>(s.err()));
    if (s.ok()) {
      holds_.Granted(which);
      return After(300 * kMilli, &LockProgram::GiveBack);
    }
    if (s.err() != EAGAIN && s.err() != EDEADLK && s.err() != EINTR) return Failed(doing_, s);
    holds_.Refused(which, s.err(), world_.now());
    mine_.reset();
    Next();
  }

  void GiveBack() {
    const size_t which = *mine_;
    FileLock lock = holds_.GivesBack(which);
    doing_ = fmt::format("program {} gives {} back", number_, Words(lock));
    KFS_LOG(debug, "part.asks at={:.3f} call=\"{}\"", Seconds(world_.now()), doing_);
    const auto done = [self = shared_from_this(), which](const Status& s) { self->GivenBack(which, s); };
    if (!lock.flock && world_.Chance(0.3)) {
      mount_.client()->Flush(handle_, lock.owner, done);
      return;
    }
    lock.type = FileLock::kUnlock;
    if (world_.Chance(0.5)) lock.start = 0, lock.end = UINT64_MAX;
    mount_.client()->SetLock(handle_, lock, false, done);
  }
  void GivenBack(size_t which, const Status& s) {
    if (ended_) return;
    if (!s.ok()) return Failed(doing_, s);
    holds_.Gone(which, world_.now());
    mine_.reset();
    Next();
  }

  World& world_;
  MountHost& mount_;
  const int number_;
  const Ino file_;
  Holds& holds_;
  PartFigures* const figures_;
  FileHandlePtr handle_;
  std::optional<size_t> mine_;  // of the holds
  std::string doing_ = "opens";
  int rounds_ = 0;
  bool ended_ = false;
};

class LocksRun : public MetaRun {
 public:
  // Cut off for so short that no session expires.
  LocksRun(const PartPlan& plan, MetaHost::Planted planted)
      : MetaRun(plan, {.mounts = 3, .cut_max = 2 * kSecond}, planted) {}

 private:
  void StartPrograms() override {
    Ino file;
    world_.At(world_.now(), mounts_[0]->process(), [this, &file] {
      mounts_[0]->client()->MkNod({}, Ino(1), "f", S_IFREG | 0666, 0, [&file](const Result<Entry>& r) {
        if (r.ok()) file = r->attr.ino;
      });
    });
    if (!world_.RunUntil([&file] { return file.v != 0; }, kSecond))
      return figures_.Wrong("the file cannot be made");
    world_.RunUntil(world_.now() + kSecond);  // it is durable
    int number = 0;
    for (auto& mount : mounts_) {
      for (int i = 0; i < 2; ++i) {
        programs_.push_back(
            std::make_shared<LockProgram>(world_, *mount, number++, file, &holds_, &figures_));
        Watch(*programs_.back());
        world_.At(world_.now(), mount->process(), [program = programs_.back()] { program->Start(); });
      }
    }
  }
  void MountDied(MountHost& mount) override {
    for (const auto& p : programs_) {
      if (p->On(mount)) p->Die();
    }
  }
  void Judge() override {
    // The sessions of mounts that died have expired by then.
    world_.RunUntil(world_.now() + 40 * kSecond);
    meta::Volume* volume = meta_->volume();
    if (volume == nullptr) return figures_.Wrong("the metaserver is down");
    size_t held = 0;
    for (const auto& [id, session] : volume->sessions) held += volume->locks.CountOf(id);
    if (held != 0) figures_.Wrong(fmt::format("{} locks are left when all have been given back", held));
  }

  Holds holds_{&figures_};
  std::vector<std::shared_ptr<LockProgram>> programs_;
};

}  // namespace

PartFigures RunLocks(const PartPlan& plan) {
  return LocksRun(plan, {.drops_reclaimed_locks = plan.planted == 1}).Go();
}

}  // namespace kfs::sim
