// Sessions and exactly once: the client's calls with their ids, resends and reclaims on one side, the
// executor's sessions, stored answers and expiry on the other, over a network that loses answers, and a log
// that ends anywhere.
//
// Each program has names of its own, so that it alone knows what becomes of them: a make that is executed
// twice finds its own name there, a removal none. What its names may stand for is a set of *worlds*. An
// answer drops those that it contradicts; a call of unknown outcome may happen at any time, or never; a loss
// of power brings back those since its last fsync.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "common/log.h"
#include "tests/sim/parts/meta_run.h"

namespace kfs::sim {
namespace {

constexpr size_t kNames = 3;
constexpr int kCalls = 8, kUnknownMax = 3;
constexpr Nanos kLateMax = 40 * kSecond;  // how late an answer is heard: hosts may be cut off
constexpr uint64_t kAnyIno = UINT64_MAX;  // a make of unknown outcome

enum class Kind : uint8_t { kMake, kRemove, kMove, kSync };

struct NameCall {
  Kind kind = Kind::kSync;
  size_t name = 0, to = 0;
};

struct Names {
  std::array<uint64_t, kNames> ino{};  // 0: none
  uint32_t happened = 0;               // of the calls of unknown outcome
  auto operator<=>(const Names&) const = default;
};
using Worlds = std::set<Names>;

// What the call answers where names are like this, and what they are afterwards.
int Do(const NameCall& call, uint64_t made, Names* names) {
  uint64_t& ino = names->ino[call.name];
  switch (call.kind) {
    case Kind::kMake:
      if (ino != 0) return EEXIST;
      ino = made;
      return 0;
    case Kind::kRemove:
      if (ino == 0) return ENOENT;
      ino = 0;
      return 0;
    case Kind::kMove:
      if (ino == 0) return ENOENT;
      names->ino[call.to] = std::exchange(ino, 0);
      return 0;
    case Kind::kSync:
      return 0;
  }
  return 0;
}

class NameProgram : public PartProgram, public std::enable_shared_from_this<NameProgram> {
 public:
  NameProgram(World& world, MountHost& mount, int number, PartFigures* figures)
      : world_(world), mount_(mount), number_(number), figures_(figures), history_{{Names{}}} {}

  void Start() { Next(); }
  bool ended() const override { return ended_; }
  bool On(const MountHost& mount) const { return &mount_ == &mount; }
  void Abandon() {
    if (std::exchange(ended_, true)) return;
    if (under_way_) MayHappen();
  }
  std::string UnderWay() const override { return under_way_ ? Words(call_) : ""; }

  void PowerLost() {
    if (under_way_ && !lost_under_way_) {
      lost_under_way_ = true;
      kept_ = history_.back();
    }
    lost_at_ = world_.now();
    Worlds any;
    for (const Worlds& worlds : history_) any.insert(worlds.begin(), worlds.end());
    history_ = {any};
  }

  // Whether these may be its names.
  bool MayBe(const std::array<uint64_t, kNames>& there) const {
    for (const Names& names : Closure(history_.back())) {
      bool same = true;
      for (size_t i = 0; i < kNames; ++i)
        same = same && (names.ino[i] == there[i] || (names.ino[i] == kAnyIno && there[i] != 0));
      if (same) return true;
    }
    return false;
  }
  std::string NameOf(size_t i) const { return fmt::format("p{}-{}", number_, i); }
  std::string Believes() const {
    std::string all;
    for (const Names& names : Closure(history_.back()))
      all += fmt::format(" [{}]", fmt::join(names.ino, " "));
    return all;
  }

 private:
  std::string Words(const NameCall& call) const {
    constexpr const char* kWords[] = {"make", "remove", "move", "fsync"};
    return fmt::format("program {} call {}: {} {} {}", number_, done_, kWords[static_cast<size_t>(call.kind)],
                       call.name, call.to);
  }

  // With the calls of unknown outcome that may have happened meanwhile.
  Worlds Closure(const Worlds& of) const {
    Worlds all = of;
    for (std::vector<Names> look(of.begin(), of.end()); !look.empty();) {
      const Names names = look.back();
      look.pop_back();
      for (size_t i = 0; i < unknown_.size(); ++i) {
        if ((names.happened & 1u << i) != 0) continue;
        Names then = names;
        then.happened |= 1u << i;
        if (Do(unknown_[i], kAnyIno, &then) == 0 && all.insert(then).second) look.push_back(then);
      }
    }
    return all;
  }

  void Next() {
    if (ended_) return;
    if (done_ == kCalls || unknown_.size() == kUnknownMax) {
      ended_ = true;
      return;
    }
    const Nanos pause = world_.Chance(0.2) ? world_.Between(0, kSecond) : world_.Between(0, 20 * kMilli);
    world_.At(mount_.process()->Time() + pause, mount_.process(),
              [self = shared_from_this()] { self->Ask(); });
  }

  void Ask() {
    if (ended_) return;
    constexpr Kind kKinds[] = {Kind::kMake,   Kind::kMake, Kind::kMake, Kind::kRemove,
                               Kind::kRemove, Kind::kMove, Kind::kSync};
    call_.kind = kKinds[world_.Draw() % std::size(kKinds)];
    call_.name = world_.Draw() % kNames;
    call_.to = (call_.name + 1 + world_.Draw() % (kNames - 1)) % kNames;
    under_way_ = true;
    lost_under_way_ = false;
    KFS_LOG(debug, "part.asks at={:.3f} call=\"{}\"", Seconds(world_.now()), Words(call_));
    ++figures_->calls;
    KfsClient& client = *mount_.client();
    const auto entry = [self = shared_from_this(), n = done_](const Result<Entry>& r) {
      self->Answered(n, r.status().err(), r.ok() ? r->attr.ino.v : 0);
    };
    const auto removed = [self = shared_from_this(), n = done_](const Result<KfsClient::Removed>& r) {
      self->Answered(n, r.status().err(), 0);
    };
    const std::string name = NameOf(call_.name);
    switch (call_.kind) {
      case Kind::kMake:
        if (world_.Chance(0.5)) {
          client.MkNod({}, Ino(1), name, S_IFREG | 0644, 0, entry);
        } else {
          Create(name);
        }
        break;
      case Kind::kRemove:
        client.Unlink({}, Ino(1), name, removed);
        break;
      case Kind::kMove:
        client.Rename({}, Ino(1), name, Ino(1), NameOf(call_.to), 0, removed);
        break;
      case Kind::kSync:
        client.Fsync(Ino(1), [self = shared_from_this(), n = done_](const Status& s) {
          self->Answered(n, s.err(), 0);
        });
        break;
    }
  }

  // Which also opens the file, and gives it back in the background.
  void Create(const std::string& name) {
    mount_.client()->Create({}, Ino(1), name, 0644, O_RDWR | O_CREAT | O_EXCL,
                            [self = shared_from_this(), n = done_](const Result<KfsClient::Opened>& r) {
                              if (r.ok() && !self->ended_)
                                self->mount_.client()->Release(r->handle, false, 0, [](const Status&) {});
                              self->Answered(n, r.status().err(), r.ok() ? r->entry.attr.ino.v : 0);
                            });
  }

  void Answered(int number, int err, uint64_t made) {
    if (ended_) return;
    if (number != done_ || !std::exchange(under_way_, false))
      return figures_->Wrong(Words(call_) + " is answered twice");
    world_.Note(static_cast<uint64_t>(err));
    KFS_LOG(debug, "part.answered at={:.3f} call=\"{}\" err={} made={}", Seconds(world_.now()), Words(call_),
            err, made);
    Take(err, made);
    ++done_;
    Next();
  }

  void MayHappen() {
    if (call_.kind == Kind::kSync) return;
    unknown_.push_back(call_);
    history_.push_back(Closure(history_.back()));
  }

  void Take(int err, uint64_t made) {
    // Whoever looked when all was there has been told that it will stay.
    if (call_.kind == Kind::kSync) {
      if (err == 0) history_ = {lost_under_way_ ? kept_ : history_.back()};
      return;
    }
    if (err != 0 && err != EEXIST && err != ENOENT) return MayHappen();
    const Worlds before = Closure(history_.back());
    Worlds after;
    for (Names names : before) {
      if (Do(call_, made, &names) == err) after.insert(names);
    }
    // An answer from before the loss may be heard after it, when what it tells of has gone.
    if (lost_under_way_ && world_.now() - lost_at_ < kLateMax) {
      for (Names names : Closure(kept_)) {
        if (Do(call_, made, &names) == err) after.insert(names);
      }
      after.insert(before.begin(), before.end());
    }
    if (after.empty()) {
      std::string were;
      for (const Names& names : before) were += fmt::format(" [{}]", fmt::join(names.ino, " "));
      return figures_->Wrong(fmt::format("{}: answered {} where names were{}", Words(call_), err, were));
    }
    history_.push_back(after);
  }

  World& world_;
  MountHost& mount_;
  const int number_;
  PartFigures* const figures_;
  NameCall call_;
  bool under_way_ = false, ended_ = false, lost_under_way_ = false;
  int done_ = 0;
  Nanos lost_at_ = 0;
  Worlds kept_;                    // when power was lost under a call: what it was then
  std::vector<Worlds> history_;    // since the last fsync, after each answer
  std::vector<NameCall> unknown_;  // calls of unknown outcome
};

class SessionsRun : public MetaRun {
 public:
  SessionsRun(const PartPlan& plan, MetaHost::Planted planted)
      // So long cut off that sessions expire, now and then.
      : MetaRun(plan,
                {.session_ttl = 9 * kSecond, .cut_max = plan.seed % 4 == 0 ? 25 * kSecond : 4 * kSecond},
                planted) {}

 private:
  void StartPrograms() override {
    int number = 0;
    for (auto& mount : mounts_) {
      for (int i = 0; i < 2; ++i) {
        auto program = std::make_shared<NameProgram>(world_, *mount, number++, &figures_);
        programs_.push_back(program);
        Watch(*program);
        world_.At(world_.now(), mount->process(), [program] { program->Start(); });
      }
    }
  }
  void PowerLost() override {
    for (const auto& p : programs_) p->PowerLost();
  }
  void MountDied(MountHost& mount) override {
    for (const auto& p : programs_) {
      if (p->On(mount)) p->Abandon();
    }
  }
  void Judge() override {
    // Releases, and what a killed mount has sent, come to their end.
    world_.RunUntil(world_.now() + kSecond);
    meta::Volume* volume = meta_->volume();
    if (volume == nullptr) return figures_.Wrong("the metaserver is down");
    uint64_t there = 1;
    for (const auto& p : programs_) {
      std::array<uint64_t, kNames> ino{};
      for (size_t i = 0; i < kNames; ++i) {
        ino[i] = volume->store.GetDentry(Ino(1), p->NameOf(i)).ino.v;
        there += ino[i] != 0 ? 1 : 0;
        if (ino[i] != 0 && volume->store.GetInode(Ino(ino[i])) == nullptr)
          figures_.Wrong(fmt::format("{} has no inode", p->NameOf(i)));
      }
      world_.Note(ino[0] ^ ino[1] << 20 ^ ino[2] << 40);
      if (!p->MayBe(ino))
        figures_.Wrong(fmt::format("{}..: [{}] in the end, but may be{}", p->NameOf(0), fmt::join(ino, " "),
                                   p->Believes()));
    }
    // Sessions of killed mounts expire, and with them what they had open.
    world_.RunUntil(world_.now() + 20 * kSecond);
    if (const uint64_t inodes = volume->store.counters().inodes(); inodes != there)
      figures_.Wrong(fmt::format("{} inodes are counted, {} have names", inodes, there));
    for (const auto& [id, session] : volume->sessions) {
      if (!session->waiting.empty() || !session->parked.empty())
        figures_.Wrong(fmt::format("session {} has calls that wait for ever", id.v));
      if (!session->opens.empty()) figures_.Wrong(fmt::format("session {} has files open for ever", id.v));
    }
  }

  std::vector<std::shared_ptr<NameProgram>> programs_;
};

}  // namespace

PartFigures RunSessions(const PartPlan& plan) {
  return SessionsRun(plan, {.forgets_answers = plan.planted == 1,
                            .acknowledges_early = plan.planted == 2,
                            .syncs_nothing = plan.planted == 3})
      .Go();
}

}  // namespace kfs::sim
