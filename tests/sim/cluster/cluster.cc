#include "tests/sim/cluster/cluster.h"

#include <fmt/format.h>

namespace kfs::sim {
namespace {

constexpr Nanos kSetUpPatience = 120 * kSecond, kEndPatience = 900 * kSecond;
constexpr int kChunkserversMax = 3;
constexpr double kFlushChance = 0.05;
// Of a mount that was started again in mid-program.
constexpr int kCallsOfLaterProgram = 10;
// Two clocks of durations differ by less than a thousandth (docs/fencing.md); wall clocks by whatever.
constexpr double kDriftMax = 0.00049;
constexpr Nanos kWallOffsetMax = 3600 * kSecond;

class Run {
 public:
  Run(const Plan& plan, const std::string& secret_file) : plan_(plan), world_(plan.seed) {
    Result<Credentials> read = Credentials::Read(secret_file);
    KfsClient::Options mount;
    mount.metaservers = {kMeta};
    mount.volume = "v";
    mount.credentials = read->With({.tls = TlsMode::kOff, .socket_dir = {}});
    mount.connect_timeout = std::chrono::hours(1);
    const bool clocks_differ = !plan.quiet && world_.Chance(0.5);
    if (clocks_differ) world_.mishaps.drift_max = kDriftMax;
    meta_ = std::make_unique<MetaMachine>(world_, kMeta, plan.seed, secret_file);
    const auto chunkservers = static_cast<int>(world_.Between(1, kChunkserversMax));
    for (int i = 0; i < chunkservers; ++i) {
      chunks_.push_back(std::make_unique<ChunkMachine>(world_, fmt::format("10.0.1.{}:7401", i + 1),
                                                       plan.seed + 100 + static_cast<uint64_t>(i),
                                                       secret_file, kMeta));
    }
    for (int i = 0; i <= plan.mounts; ++i) {  // the last one looks at it all in the end
      mounts_.push_back(std::make_unique<MountMachine>(world_, fmt::format("10.0.2.{}:1", i + 1),
                                                       plan.seed + 200 + static_cast<uint64_t>(i), mount));
    }
    if (!clocks_differ) return;
    for (Machine* m : Machines()) m->host->wall_offset = world_.Between(-kWallOffsetMax, kWallOffsetMax);
  }
  ~Run() {
    for (auto& m : mounts_) m->Crash(false);
    for (auto& c : chunks_) c->Crash(false);
    meta_->Crash(false);
    world_.RunUntil(world_.now());
  }

  Figures Go() {
    if (SetUp()) {
      StartPrograms();
      if (!plan_.quiet) GoWrong();
      Finish();
    }
    figures_.hash = world_.Hash();
    figures_.events = world_.events();
    figures_.virtual_time = world_.now();
    figures_.calls = history_.steps.size();
    if (figures_.ok) Judge();
    figures_.history = history_;  // programs still know where they are in it
    return figures_;
  }

 private:
  static constexpr char kMeta[] = "10.0.0.1:7400";

  bool Fail(const std::string& why) {
    figures_.ok = false;
    figures_.why += why + "\n";
    return false;
  }
  std::vector<Machine*> Machines() {
    std::vector<Machine*> all{meta_.get()};
    for (auto& c : chunks_) all.push_back(c.get());
    for (auto& m : mounts_) all.push_back(m.get());
    return all;
  }

  bool SetUp() {
    for (Machine* m : Machines()) m->Start();
    if (!world_.RunUntil(
            [&] {
              return std::ranges::all_of(mounts_, [](const auto& m) { return m->client != nullptr; }) &&
                     std::ranges::all_of(chunks_, [](const auto& c) { return c->server->registered(); });
            },
            kSetUpPatience))
      return Fail("the cluster does not come up");
    for (int i = 0; i < 2; ++i) MakeFile(fmt::format("f{}", i));
    if (!world_.RunUntil([&] { return files_.size() == 2; }, kSetUpPatience))
      return Fail("files cannot be made");
    return true;
  }
  void MakeFile(const std::string& name) {
    MountMachine& mount = *mounts_.front();
    world_.At(world_.now(), mount.process, [this, name, &mount] {
      const Nanos began = world_.now();
      mount.client->MkNod({}, Ino(1), name, S_IFREG | 0644, 0,
                          [this, name, began, &mount](const Result<Entry>& r) {
                            if (!r.ok()) return;
                            Step step;
                            step.call = Call::kCreate;
                            step.began = began;
                            step.ended = world_.now();
                            step.dir = 1;
                            step.name = name;
                            step.got = r->attr.ino.v;
                            history_.steps.push_back(step);
                            const Ino ino = r->attr.ino;
                            mount.client->Fsync(Ino(1), [this, ino](const Status& s) {
                              if (s.ok()) files_.push_back(ino);
                            });
                          });
    });
  }

  void StartPrograms() {
    for (int i = 0; i < plan_.mounts; ++i) {
      MountMachine& mount = *mounts_[static_cast<size_t>(i)];
      for (int p = 0; p < plan_.programs; ++p) StartProgram(mount, i, plan_.calls);
      mount.connected = [this, &mount] {
        if (!over_) StartProgram(mount, next_client_++, kCallsOfLaterProgram);
      };
    }
    next_client_ = plan_.mounts + 1;
  }
  void StartProgram(MountMachine& mount, int client, int calls) {
    auto program = std::make_shared<Program>(
        world_, mount.process, mount.client.get(), &history_,
        Program::Options{.number = next_program_++, .client = client, .calls = calls, .files = files_});
    mount.programs.push_back(program);
    programs_.push_back(program);
    world_.At(world_.now(), mount.process, [program] { program->Start(); });
  }

  void GoWrong() {
    Mishaps& m = world_.mishaps;
    m.stop_chance = world_.Chance(0.5) ? 0.00002 : 0;
    m.stop_max = world_.Between(kMilli, 20 * kSecond);
    m.slow_chance = world_.Chance(0.5) ? 0.02 : 0;
    m.cut_chance = world_.Chance(0.5) ? 0.003 : 0;
    meta_->flush_chance = world_.Chance(0.5) ? kFlushChance : 0;
    const int faults = static_cast<int>(world_.Between(1, 6));
    for (int i = 0; i < faults; ++i) {
      world_.At(world_.now() + world_.Between(0, 2 * kSecond), nullptr, [this] { OneFault(); });
    }
  }
  void OneFault() {
    if (over_) return;
    ++figures_.faults;
    Machine* who = nullptr;
    const uint64_t lot = world_.Draw() % 10;
    if (lot < 4) {
      who = meta_.get();
    } else if (lot < 7) {
      who = chunks_[world_.Draw() % chunks_.size()].get();
    } else if (lot < 8) {
      who = mounts_[world_.Draw() % static_cast<uint64_t>(plan_.mounts)].get();
    } else {
      return CutOff();
    }
    // A chunkserver's power takes blocks one by one: the oracle does not know that yet.
    const bool power = dynamic_cast<ChunkMachine*>(who) == nullptr && world_.Chance(0.5);
    // A mount has no disk that it writes to.
    if (dynamic_cast<MountMachine*>(who) == nullptr && world_.Chance(0.5)) {
      who->CrashAtWrite(static_cast<uint64_t>(world_.Between(1, 40)), power);
    } else {
      who->Crash(power);
    }
    Restart(who);
  }
  // Looks now and then whether it is down, and starts it again.
  void Restart(Machine* who) {
    world_.At(world_.now() + world_.Between(kMilli, 3 * kSecond), nullptr, [this, who] {
      if (!who->up()) {
        if (!over_) who->Start();  // else all are started at once
      } else if (!over_) {
        Restart(who);
      }
    });
  }
  void CutOff() {
    const auto all = Machines();
    const std::string a = all[world_.Draw() % all.size()]->host->name;
    const std::string b = all[world_.Draw() % all.size()]->host->name;
    if (a == b) return;
    world_.Cut(a, b, true);
    world_.At(world_.now() + world_.Between(0, 10 * kSecond), nullptr,
              [this, a, b] { world_.Cut(a, b, false); });
  }

  bool ProgramsEnded() const {
    return std::ranges::all_of(programs_, [](const auto& p) { return p->ended(); });
  }
  void Finish() {
    world_.RunUntil([&] { return ProgramsEnded(); }, 60 * kSecond);
    over_ = true;
    world_.mishaps = {};
    for (Machine* m : Machines()) m->disk->BeforeCall({});
    world_.RunUntil(world_.now() + 15 * kSecond);  // what was cut off is not any more
    for (Machine* m : Machines()) {
      if (!m->up() && m != mounts_.back().get() && dynamic_cast<MountMachine*>(m) == nullptr) m->Start();
    }
    if (!world_.RunUntil([&] { return ProgramsEnded(); }, kEndPatience)) {
      Fail("calls hang though all is up again:");
      for (const Step& s : history_.steps) {
        if (s.ended == kNever && s.call != Call::kUnlock) Fail("  " + s.ToString());
      }
      return;
    }
    StartProgram(*mounts_.back(), plan_.mounts, 12);
    if (!world_.RunUntil([&] { return ProgramsEnded(); }, kEndPatience)) Fail("the last look hangs");
  }

  void Judge() {
    for (int64_t at : meta_->power_losses) history_.losses.push_back({at});
    const Verdict v = Check(history_);
    figures_.ok = v.ok;
    figures_.why = v.why;
    figures_.tried = v.tried;
    figures_.gave_up = v.gave_up;
  }

  const Plan plan_;
  World world_;
  std::unique_ptr<MetaMachine> meta_;
  std::vector<std::unique_ptr<ChunkMachine>> chunks_;
  std::vector<std::unique_ptr<MountMachine>> mounts_;
  std::vector<std::shared_ptr<Program>> programs_;
  std::vector<Ino> files_;
  History history_;
  Figures figures_;
  int next_program_ = 0, next_client_ = 0;
  bool over_ = false;
};

}  // namespace

Figures RunCluster(const Plan& plan, const std::string& secret_file) { return Run(plan, secret_file).Go(); }

}  // namespace kfs::sim
