#include "tests/sim/parts/meta_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"

namespace kfs::sim {
namespace {

constexpr Nanos kPatience = 300 * kSecond;

}  // namespace

MetaRun::MetaRun(const PartPlan& plan, Options options, MetaHost::Planted planted)
    : plan_(plan),
      options_(options),
      world_(plan.seed),
      meta_(std::make_unique<MetaHost>(world_, Duration(options.session_ttl), planted)) {
  for (int i = 0; i < options.mounts; ++i)
    mounts_.push_back(std::make_unique<MountHost>(world_, fmt::format("10.0.1.{}", i + 1)));
}

MetaRun::~MetaRun() = default;

PartFigures MetaRun::Go() {
  if (SetUp()) {
    StartPrograms();
    if (!plan_.quiet) GoWrong();
    world_.RunUntil([this] { return ProgramsEnded(); }, 60 * kSecond);
    over_ = true;
    world_.mishaps = {};
    meta_->CrashAtWrite(0, false, false);
    // What was cut off is not any more.
    world_.RunUntil(world_.now() + options_.cut_max);
    if (!meta_->up()) meta_->Start();
    if (world_.RunUntil([this] { return ProgramsEnded(); }, kPatience)) {
      Judge();
    } else {
      figures_.Wrong("hangs though all is up again: " + UnderWay());
    }
  }
  figures_.hash = world_.Hash();
  figures_.virtual_time = world_.now();
  const PartFigures done = figures_;
  // While what their calls come back to is there.
  for (auto& mount : mounts_) mount->Kill();
  return done;
}

bool MetaRun::SetUp() {
  meta_->on_power_loss = [this] {
    KFS_LOG(debug, "part.power_lost at={:.3f}", Seconds(world_.now()));
    PowerLost();
  };
  meta_->Start();
  for (auto& m : mounts_) m->Start();
  const auto up = [this] { return std::ranges::all_of(mounts_, [](const auto& m) { return m->up(); }); };
  if (!world_.RunUntil(up, kPatience)) {
    figures_.Wrong("the mounts do not come up");
    return false;
  }
  // Sessions are durable by then.
  world_.RunUntil(world_.now() + kSecond);
  return true;
}

bool MetaRun::ProgramsEnded() const {
  return std::ranges::all_of(watched_, [](const PartProgram* p) { return p->ended(); });
}

std::string MetaRun::UnderWay() const {
  std::string all;
  for (const PartProgram* p : watched_) {
    if (!p->ended()) all += p->UnderWay() + "; ";
  }
  return all;
}

void MetaRun::GoWrong() {
  Mishaps& m = world_.mishaps;
  m.stop_chance = world_.Chance(0.3) ? 0.0005 : 0;
  m.stop_max = world_.Between(kMilli, 3 * kSecond);
  m.slow_chance = world_.Chance(0.5) ? 0.03 : 0;
  m.cut_chance = world_.Chance(0.5) ? 0.02 : 0;
  if (world_.Chance(0.25)) meta_->AcknowledgeLater(world_.Between(kMilli, 300 * kMilli));
  const int faults = static_cast<int>(world_.Between(1, 4));
  for (int i = 0; i < faults; ++i)
    world_.At(world_.now() + world_.Between(0, options_.faults_within), nullptr, [this] { OneFault(); });
}

void MetaRun::OneFault() {
  if (over_) return;
  ++figures_.faults;
  const uint64_t lot = world_.Draw() % 10;
  if (lot < 4 && mounts_.empty()) return OtherFault();
  if (lot == 0 && options_.mounts_die) {
    MountHost& mount = *mounts_[world_.Draw() % mounts_.size()];
    if (!mount.up()) return;
    MountDied(mount);
    return mount.Kill();
  }
  if (lot < 4) {
    const std::string mount = mounts_[world_.Draw() % mounts_.size()]->name();
    world_.Cut(MetaHost::kHost, mount, true);
    world_.At(world_.now() + world_.Between(0, options_.cut_max), nullptr,
              [this, mount] { world_.Cut(MetaHost::kHost, mount, false); });
    return;
  }
  const bool power = options_.power && world_.Chance(0.5);
  if (world_.Chance(0.6)) {
    meta_->CrashAtWrite(world_.Between(1, 8), world_.Chance(0.5), power);
  } else {
    meta_->Crash(power);
  }
  StartAgain();
}

void MetaRun::StartAgain() {
  world_.At(world_.now() + world_.Between(kMilli, 2 * kSecond), nullptr, [this] {
    if (!meta_->up()) {
      meta_->Start();
    } else if (!over_) {
      StartAgain();
    }
  });
}

}  // namespace kfs::sim
