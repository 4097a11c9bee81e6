#include "tests/sim/cluster/machines.h"

#include <utility>

namespace kfs::sim {
namespace {

constexpr Nanos kBackgroundMax = 100 * kMilli;

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

// ---- metaserver ----

MetaMachine::MetaMachine(World& w, const std::string& a, uint64_t seed, const std::string& secret_file,
                         const std::string& volume, uint64_t lot)
    : Machine(w, a, {.seed = seed, .sync_covers_names = true}),  // RocksDB needs it
      forgets_sessions(lot % 6 == 0) {
  Set(options, {{"data-dir", "/meta"},
                {"listen", address},
                {"secret-file", secret_file},
                {"tls", "off"},
                {"socket-dir", ""},
                {"default-volume", volume},
                {"session-ttl", lot % 3 == 0 ? "3" : "30"},
                {"session-keep", forgets_sessions ? "0" : "86400"},
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
                           const std::string& metaservers)
    : Machine(w, a, {.seed = seed, .tearing = Tearing::kSectors}) {
  Set(options, {{"data-dirs", "/data"},
                {"listen", address},
                {"metaservers", metaservers},
                // Else what was deleted too early would come back.
                {"garbage-keep", seed % 2 == 0 ? "0" : "86400"},
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
    : Machine(w, a, {.seed = seed}), options(std::move(o)) {}

Status MountMachine::Make() {
  options.loop = &process->loop();
  connecting = KfsClient::Connect(options, [this, life = process](Result<std::unique_ptr<KfsClient>> made) {
    if (!life->alive()) return;
    if (made.ok()) {
      client = std::move(*made);
      return connected();
    }
    world.Note(made.status().ToString());
    StartAnew();
  });
  return {};
}

void MountMachine::Drop() {
  for (const auto& program : programs) program->Abandon();
  programs.clear();
  connecting.reset();
  client.reset();
}

}  // namespace kfs::sim
