#include "tests/sim/cluster/cluster.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/reached.h"
#include "tests/sim/cluster/admin.h"
#include "tests/sim/cluster/faults.h"
#include "tests/sim/cluster/machines.h"

namespace kfs::sim {
namespace {

constexpr Nanos kSetUpPatience = 120 * kSecond, kEndPatience = 900 * kSecond, kAskAgain = 300 * kMilli;
constexpr int kMetaserversMax = 3, kVolumesMax = 2, kChunkserversMax = 3;
constexpr uint64_t kChunkSize = 64 << 10;
// Of a mount that was started again in mid-program, and of the last one.
constexpr double kRivalsChance = 0.35, kRemovedChance = 0.3;
constexpr int kCallsOfLaterProgram = 10, kCallsOfLastLook = 12;
// Two clocks of durations differ by less than a thousandth (docs/fencing.md); wall clocks by whatever.
constexpr double kDriftMax = 0.00049;
constexpr Nanos kWallOffsetMax = 3600 * kSecond;

struct OfVolume {
  std::string name;
  std::vector<Ino> files;
  std::vector<std::string> names;  // of these
  History history;
};

class Run {
 public:
  Run(const Plan& plan, const std::string& secret_file) : plan_(plan), world_(plan.seed) {
    const bool clocks_differ = !plan.quiet && world_.Chance(0.5);
    if (clocks_differ) world_.mishaps.drift_max = kDriftMax;
    const auto metaservers = world_.Chance(0.6) ? 1 : world_.Between(2, kMetaserversMax);
    const auto volumes = metaservers == 1 ? 1 : world_.Between(1, kVolumesMax);
    const auto chunkservers = world_.Between(1, kChunkserversMax);
    for (Nanos i = 0; i < volumes; ++i)
      volumes_.push_back({.name = fmt::format("v{}", i), .files = {}, .names = {}, .history = {}});
    std::vector<std::string> addresses;
    for (Nanos i = 0; i < metaservers; ++i) {
      addresses.push_back(fmt::format("10.0.0.{}:7400", i + 1));
      metas_.push_back(std::make_unique<MetaMachine>(world_, addresses.back(), Seed(), secret_file,
                                                     i == 0 ? volumes_[0].name : "", plan_.seed));
    }
    for (Nanos i = 0; i < chunkservers; ++i) {
      chunks_.push_back(std::make_unique<ChunkMachine>(world_, fmt::format("10.0.1.{}:7401", i + 1), Seed(),
                                                       secret_file,
                                                       fmt::format("{}", fmt::join(addresses, ","))));
    }
    const Credentials credentials =
        Credentials::Read(secret_file)->With({.tls = TlsMode::kOff, .socket_dir = {}});
    KfsClient::Options mount;
    mount.metaservers = addresses;
    mount.credentials = credentials;
    mount.connect_timeout = std::chrono::hours(1);
    for (int i = 0; i < plan.mounts + static_cast<int>(volumes);
         ++i) {  // the last ones look at it all in the end
      mount.volume = VolumeOf(i).name;
      mounts_.push_back(
          std::make_unique<MountMachine>(world_, fmt::format("10.0.2.{}:1", i + 1), Seed(), mount));
    }
    admin_ = std::make_unique<AdminMachine>(world_, "10.0.3.1:1", credentials, addresses);
    rivals_ = world_.Chance(kRivalsChance);
    removed_ = world_.Chance(kRemovedChance);
    faults_ = std::make_unique<Faults>(world_, Everything());
    if (!clocks_differ) return;
    for (Machine* m : Machines()) m->host->wall_offset = world_.Between(-kWallOffsetMax, kWallOffsetMax);
  }
  ~Run() {
    for (Machine* m : Machines()) m->Crash(false);
    admin_->Crash(false);
    world_.RunUntil(world_.now());
  }

  Figures Go() {
    if (SetUp()) {
      StartPrograms();
      if (!plan_.quiet) faults_->Begin();
      Finish();
    }
    figures_.hash = world_.Hash();
    figures_.events = world_.events();
    figures_.virtual_time = world_.now();
    figures_.faults = faults_->count();
    figures_.moves = faults_->moves();
    for (OfVolume& v : volumes_) figures_.calls += v.history.steps.size();
    if (figures_.ok) Judge();
    for (OfVolume& v : volumes_) figures_.histories.push_back(v.history);
    return figures_;
  }

 private:
  uint64_t Seed() { return plan_.seed + 100 * next_seed_++; }
  OfVolume& VolumeOf(int mount) { return volumes_[static_cast<size_t>(mount) % volumes_.size()]; }
  bool IsLast(int mount) const { return mount >= plan_.mounts; }

  bool Fail(const std::string& why) {
    figures_.ok = false;
    figures_.why += why + "\n";
    return false;
  }
  // But for the administrator's.
  std::vector<Machine*> Machines() {
    std::vector<Machine*> all;
    for (auto& m : metas_) all.push_back(m.get());
    for (auto& c : chunks_) all.push_back(c.get());
    for (auto& m : mounts_) all.push_back(m.get());
    return all;
  }
  Faults::Cluster Everything() {
    Faults::Cluster c;
    for (auto& m : metas_) c.metas.push_back(m.get());
    for (auto& s : chunks_) c.chunks.push_back(s.get());
    for (int i = 0; i < plan_.mounts; ++i) c.mounts.push_back(mounts_[static_cast<size_t>(i)].get());
    c.all = Machines();
    c.admin = admin_.get();
    for (auto& v : volumes_) c.volumes.push_back(v.name);
    c.many_cuts = plan_.seed % 5 == 0;
    c.late_bytes = rivals_;
    return c;
  }

  // Asks until it is done.
  bool Command(const std::function<void(AdminMachine::DoneStatus)>& ask) {
    const Nanos until = world_.now() + kSetUpPatience;
    while (world_.now() < until) {
      auto came = std::make_shared<std::optional<Status>>();
      ask([came](const Status& s) { *came = s; });
      if (!world_.RunUntil([&] { return came->has_value(); }, kSetUpPatience)) return false;
      if ((*came)->ok()) return true;
      world_.RunUntil(world_.now() + kAskAgain);
    }
    return false;
  }
  bool SetUp() {
    for (auto& m : metas_) m->Start();
    if (metas_.size() > 1) {
      admin_->Start();
      world_.RunUntil(world_.now());
      for (size_t i = 1; i < metas_.size(); ++i) {
        if (!Command([&](auto done) { admin_->Probe(i, done); }))
          return Fail("a metaserver cannot be taken in");
      }
      for (size_t i = 1; i < volumes_.size(); ++i) {
        if (!Command([&](auto done) { admin_->CreateVolume(volumes_[i].name, kChunkSize, done); }))
          return Fail("a volume cannot be made");
      }
    }
    for (auto& c : chunks_) c->Start();
    for (auto& m : mounts_) m->Start();
    if (!world_.RunUntil(
            [&] {
              return std::ranges::all_of(mounts_, [](const auto& m) { return m->client != nullptr; }) &&
                     std::ranges::all_of(chunks_, [](const auto& c) {
                       return c->server != nullptr && c->server->registered();
                     });
            },
            kSetUpPatience))
      return Fail("the cluster does not come up");
    for (int i = 0; i < 2 * static_cast<int>(volumes_.size()); ++i) MakeFile(i);
    if (!world_.RunUntil(
            [&] { return std::ranges::all_of(volumes_, [](const auto& v) { return v.files.size() == 2; }); },
            kSetUpPatience))
      return Fail("files cannot be made");
    return true;
  }
  // On the first mount of the volume.
  void MakeFile(int number) {
    const std::string name = fmt::format("f{}", number);
    OfVolume& volume = VolumeOf(number);
    MountMachine& mount = *mounts_[static_cast<size_t>(number) % volumes_.size()];
    world_.At(world_.now(), mount.process, [this, name, &mount, &volume] {
      const Nanos began = world_.now();
      mount.client->MkNod({}, Ino(1), name, S_IFREG | 0644, 0,
                          [this, name, began, &mount, &volume](const Result<Entry>& r) {
                            if (!r.ok()) return;
                            Step step;
                            step.call = Call::kCreate;
                            step.began = began;
                            step.ended = world_.now();
                            step.dir = 1;
                            step.name = name;
                            step.got = r->attr.ino.v;
                            volume.history.steps.push_back(step);
                            volume.names.push_back(name);
                            const Ino ino = r->attr.ino;
                            mount.client->Fsync(Ino(1), [&volume, ino](const Status& s) {
                              if (s.ok()) volume.files.push_back(ino);
                            });
                          });
    });
  }

  void StartPrograms() {
    next_client_ = static_cast<int>(mounts_.size());
    for (int i = 0; i < plan_.mounts; ++i) {
      for (int p = 0; p < plan_.programs; ++p) StartProgram(i, i, rivals_ ? 2 * plan_.calls : plan_.calls);
      mounts_[static_cast<size_t>(i)]->connected = [this, i] {
        if (!faults_->over()) StartProgram(i, next_client_++, kCallsOfLaterProgram);
      };
    }
  }
  void StartProgram(int number, int client, int calls) {
    MountMachine& mount = *mounts_[static_cast<size_t>(number)];
    OfVolume& volume = VolumeOf(number);
    auto program = std::make_shared<Program>(
        world_, mount.process, mount.client.get(), &volume.history,
        Program::Options{.number = next_program_++,
                         .client = client,
                         .calls = calls,
                         .files = volume.files,
                         .names = removed_ ? volume.names : std::vector<std::string>(),
                         .rivals = rivals_});
    mount.number = client;
    host_of_client_.resize(std::max(host_of_client_.size(), static_cast<size_t>(client) + 1));
    host_of_client_[static_cast<size_t>(client)] = mount.host->name;
    mount.programs.push_back(program);
    programs_.push_back(program);
    world_.At(world_.now(), mount.process, [program] { program->Start(); });
  }

  bool ProgramsEnded() const {
    return std::ranges::all_of(programs_, [](const auto& p) { return p->ended(); });
  }
  void Finish() {
    world_.RunUntil([&] { return ProgramsEnded(); }, 60 * kSecond);
    faults_->End();
    world_.RunUntil(world_.now() + 15 * kSecond);  // what was cut off is not any more
    for (Machine* m : Machines()) {
      if (!m->up() && dynamic_cast<MountMachine*>(m) == nullptr) m->Start();
    }
    if (!world_.RunUntil([&] { return ProgramsEnded(); }, kEndPatience)) {
      Fail("calls hang though all is up again:");
      for (const OfVolume& v : volumes_) {
        for (const Step& s : v.history.steps) {
          if (s.ended == kNever && s.call != Call::kUnlock) Fail("  " + s.ToString());
        }
      }
      return;
    }
    if (!MovesAgain()) return;
    for (int i = plan_.mounts; IsLast(i) && i < static_cast<int>(mounts_.size()); ++i)
      StartProgram(i, i, kCallsOfLastLook);
    if (!world_.RunUntil([&] { return ProgramsEnded(); }, kEndPatience)) Fail("the last look hangs");
  }

  // No move has left a volume where it cannot be moved from.
  bool MovesAgain() {
    for (size_t v = 0; metas_.size() > 1 && v < volumes_.size(); ++v) {
      size_t to = v;
      if (!Command([&](auto done) { admin_->Move(volumes_[v].name, to++ % metas_.size(), done); }))
        return Fail("volume " + volumes_[v].name + " cannot be moved any more");
    }
    return true;
  }

  // Of links between mounts and chunkservers.
  std::vector<Break> Breaks() const {
    std::vector<Break> breaks;
    for (const World::Broken& b : world_.broken) {
      const bool to_data = std::ranges::any_of(
          chunks_, [&](const auto& c) { return c->host->name == b.a || c->host->name == b.b; });
      for (size_t client = 0; to_data && client < host_of_client_.size(); ++client) {
        const std::string& host = host_of_client_[client];
        if (host == b.a || host == b.b) breaks.push_back({.client = static_cast<int>(client), .at = b.at});
      }
    }
    return breaks;
  }

  void Judge() {
    for (OfVolume& v : volumes_) {
      for (const auto& m : metas_) {
        for (int64_t at : m->power_losses)
          v.history.losses.push_back({.at = at, .perhaps = metas_.size() > 1});
        v.history.crashes.insert(v.history.crashes.end(), m->crashes.begin(), m->crashes.end());
      }
      for (const auto& c : chunks_) {
        for (int64_t at : c->power_losses)
          v.history.losses.push_back({.at = at, .of_data = true, .perhaps = chunks_.size() > 1});
      }
      v.history.deaths = faults_->Deaths();
      v.history.breaks = Breaks();
      v.history.forgets_sessions =
          std::ranges::any_of(metas_, [](const auto& m) { return m->forgets_sessions; });
      const Verdict verdict = Check(v.history);
      figures_.ok &= verdict.ok;
      if (!verdict.ok) figures_.why += "in volume " + v.name + ":\n" + verdict.why;
      figures_.tried += verdict.tried;
      figures_.gave_up |= verdict.gave_up;
    }
  }

  const Plan plan_;
  World world_;
  uint64_t next_seed_ = 1;
  std::vector<OfVolume> volumes_;
  std::vector<std::unique_ptr<MetaMachine>> metas_;
  std::vector<std::unique_ptr<ChunkMachine>> chunks_;
  std::vector<std::unique_ptr<MountMachine>> mounts_;
  std::unique_ptr<AdminMachine> admin_;
  std::unique_ptr<Faults> faults_;
  std::vector<std::shared_ptr<Program>> programs_;
  Figures figures_;
  int next_program_ = 0, next_client_ = 0;
  std::vector<std::string> host_of_client_;
  bool rivals_ = false;   // programs want the same few blocks
  bool removed_ = false;  // they remove names of files that they have open
};

}  // namespace

Figures RunCluster(const Plan& plan, const std::string& secret_file) { return Run(plan, secret_file).Go(); }

}  // namespace kfs::sim
