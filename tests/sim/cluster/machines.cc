#include <utility>

#include "common/log.h"
#include "tests/sim/cluster/cluster.h"

namespace kfs::sim {
namespace {

constexpr Nanos kRestartPause = 10 * kMilli, kBackgroundMax = 100 * kMilli;

template <typename Options>
void Set(Options& options, std::initializer_list<std::pair<std::string, std::string>> values) {
  for (const auto& [name, value] : values) {
    if (Status s = options.Set(name, value); !s.ok()) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), s.ToString().c_str());
      std::abort();
    }
  }
}

}  // namespace

// ---- Machine ----

Machine::Machine(World& w, const std::string& a, uint64_t seed)
    : world(w),
      address(a),
      host(w.AddHost(HostOf(a))),
      disk(std::make_unique<SimDisk>(SimDisk::Options{.seed = seed, .sync_covers_names = true})) {}

void Machine::Start() {
  process = host->Start("process");
  world.At(world.now(), process, [this] {
    const Status s = Make();
    if (s.ok() || process == nullptr || !process->alive()) return;
    // As a service manager does.
    world.Note(s.ToString());
    Crash(false);
    world.At(world.now() + kRestartPause, nullptr, [this] {
      if (!up()) Start();
    });
  });
}

void Machine::Crash(bool power) {
  if (process == nullptr || !process->alive()) return;
  // Nothing that it still does, as its objects end, may reach the disk.
  DiskFaults off;
  off.off_from = 0;
  disk->SetFaults(off);
  power ? process->Vanish() : process->Kill();
  power_ = power;
  if (power) power_losses.push_back(world.now());
  KFS_LOG(info, "sim.{} machine={} at={}", power ? "power_lost" : "killed", address, world.now());
  world.At(world.now(), nullptr, [this] { Ended(power_); });
}

void Machine::Ended(bool power) {
  disk->BeforeCall({});
  Drop();
  process.reset();
  world.Note(disk->history_hash());
  power ? disk->PowerLoss(world.Draw()) : disk->Crash();
  disk->SetFaults({});
}

void Machine::CrashAtWrite(uint64_t calls_from_now, bool power) {
  const uint64_t at = disk->calls() + calls_from_now;
  disk->BeforeCall([this, at, power](const DiskCall& call) {
    if (call.changes() && call.number >= at && process != nullptr && process->alive()) Crash(power);
  });
}

// ---- metaserver ----

MetaMachine::MetaMachine(World& w, const std::string& a, uint64_t seed, const std::string& secret_file)
    : Machine(w, a, seed) {
  Set(options, {{"data-dir", "/meta"},
                {"listen", address},
                {"secret-file", secret_file},
                {"tls", "off"},
                {"socket-dir", ""},
                {"default-volume", "v"},
                {"default-chunk-size", "65536"}});
}

Status MetaMachine::Make() {
  files = std::make_unique<SimFileOps>(*disk);
  env = std::make_unique<SimEnv>(*disk, world.Draw());
  meta::MetaSurroundings around;
  around.files = files.get();
  around.databases = {.env = env.get(),
                      .one_thread = true,
                      .flush_now = [this] { return env->background() == 0 && world.Chance(flush_chance); },
                      .on_end = [this](const std::string&) { Crash(false); }};
  server = std::make_unique<meta::MetaServer>(process->loop(), options, around);
  Background();
  return server->Start();
}

// What the database would do on threads of its own.
void MetaMachine::Background() {
  world.At(process->Time() + world.Between(kMilli, kBackgroundMax), process, [this] {
    env->RunBackground();
    Background();
  });
}

void MetaMachine::Drop() {
  server.reset();
  env.reset();
  files.reset();
}

// ---- chunkserver ----

ChunkMachine::ChunkMachine(World& w, const std::string& a, uint64_t seed, const std::string& secret_file,
                           const std::string& metaserver)
    : Machine(w, a, seed) {
  Set(options, {{"data-dirs", "/data"},
                {"listen", address},
                {"metaservers", metaserver},
                {"secret-file", secret_file},
                {"tls", "off"},
                {"socket-dir", ""}});
}

Status ChunkMachine::Make() {
  files = std::make_unique<SimFileOps>(*disk);
  server = std::make_unique<ChunkserverDaemon>(process->loop(), options, files.get());
  return server->Start();
}

void ChunkMachine::Drop() {
  server.reset();
  files.reset();
}

// ---- mount ----

MountMachine::MountMachine(World& w, const std::string& a, uint64_t seed, KfsClient::Options o)
    : Machine(w, a, seed), options(std::move(o)) {}

Status MountMachine::Make() {
  options.loop = &process->loop();
  KfsClient::Connect(options, [this, life = process](Result<std::unique_ptr<KfsClient>> made) {
    if (!life->alive()) return;
    if (made.ok()) {
      client = std::move(*made);
      return connected();
    }
    world.Note(made.status().ToString());
    Crash(false);
    world.At(world.now() + kRestartPause, nullptr, [this] {
      if (!up()) Start();
    });
  });
  return {};
}

void MountMachine::Drop() {
  for (const auto& program : programs) program->Abandon();
  programs.clear();
  client.reset();
}

}  // namespace kfs::sim
