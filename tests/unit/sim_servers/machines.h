// Machines of a simulated world on which real servers and clients run: the objects of the programs' mains, on
// loops in virtual time, over disks in memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "chunkserver/daemon.h"
#include "client/kfs_client.h"
#include "metaserver/metaserver.h"
#include "tests/sim/disk/sim_env.h"
#include "tests/sim/disk/sim_file_ops.h"
#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {

// One server on a machine with a disk of its own.
class ServerMachine {
 public:
  ServerMachine(World& world, const std::string& address, SimDisk::Options disk)
      : world_(world), host_(world.AddHost(address)), disk_(std::move(disk)), files_(disk_) {}
  virtual ~ServerMachine() = default;

  // Begins within an event of a new process.
  void Start(const std::string& what) {
    process_ = host_->Start(what);
    started_.reset();
    world_.At(world_.now(), process_, [this] { started_ = Begin(process_->loop()); });
  }
  // None: it has not begun yet.
  const std::optional<Status>& started() const { return started_; }
  // What was not synced may be gone.
  void LosePower(uint64_t seed) {
    disk_.SetFaults({.off_from = disk_.calls()});
    host_->Lose();
    LetGo();
    process_.reset();
    world_.Note(disk_.history_hash());  // so that the same world did the same on its disks
    disk_.PowerLoss(seed);
  }

 protected:
  virtual Status Begin(EventLoop& loop) = 0;
  virtual void LetGo() = 0;

  World& world_;
  const std::shared_ptr<Host> host_;
  SimDisk disk_;
  SimFileOps files_;
  std::shared_ptr<Process> process_;

 private:
  std::optional<Status> started_;
};

class MetaMachine : public ServerMachine {
 public:
  static constexpr char kHost[] = "10.0.0.1", kAddress[] = "10.0.0.1:7400";
  // As Linux's file systems do it: RocksDB needs it.
  MetaMachine(World& world, uint64_t seed, const std::string& secret_file)
      : ServerMachine(world, kHost, {.seed = seed, .sync_covers_names = true}), seed_(seed) {
    for (const auto& [name, value] : {std::pair("data-dir", "/var/meta"),
                                      {"listen", kAddress},
                                      {"secret-file", secret_file.c_str()},
                                      {"tls", "off"},
                                      {"socket-dir", ""},
                                      {"default-volume", "data"}})
      EXPECT_TRUE(options_.Set(name, value).ok()) << name;
  }
  ~MetaMachine() override { LetGo(); }

 private:
  Status Begin(EventLoop& loop) override {
    env_ = std::make_unique<SimEnv>(disk_, seed_);
    server_ = std::make_unique<meta::MetaServer>(
        loop, options_,
        meta::MetaSurroundings{
            .files = &files_,
            .databases = {.env = env_.get(), .one_thread = true, .on_end = [](const std::string&) {}}});
    Background();
    return server_->Start();
  }
  void LetGo() override {
    server_.reset();
    env_.reset();
  }
  void Background() {
    world_.At(world_.now() + kMilli, process_, [this] {
      env_->RunBackground();
      Background();
    });
  }

  const uint64_t seed_;
  meta::MetaOptions options_;
  std::unique_ptr<SimEnv> env_;
  std::unique_ptr<meta::MetaServer> server_;
};

class ChunkMachine : public ServerMachine {
 public:
  ChunkMachine(World& world, uint64_t seed, const std::string& secret_file)
      : ServerMachine(world, "10.0.0.2", {.seed = seed, .tearing = Tearing::kSectors}) {
    for (const auto& [name, value] : {std::pair("data-dirs", "/chunks"),
                                      {"listen", "10.0.0.2:7500"},
                                      {"metaservers", MetaMachine::kAddress},
                                      {"secret-file", secret_file.c_str()},
                                      {"tls", "off"},
                                      {"socket-dir", ""}})
      EXPECT_TRUE(options_.Set(name, value).ok()) << name;
  }
  ~ChunkMachine() override { LetGo(); }
  bool registered() const { return daemon_ != nullptr && daemon_->registered(); }

 private:
  Status Begin(EventLoop& loop) override {
    daemon_ = std::make_unique<ChunkserverDaemon>(loop, options_, &files_);
    daemon_->OnMustEnd([] { ADD_FAILURE() << "the chunkserver is taken for a copy of another one"; });
    return daemon_->Start();
  }
  void LetGo() override { daemon_.reset(); }

  ChunkserverOptions options_;
  std::unique_ptr<ChunkserverDaemon> daemon_;
};

// A client on a machine of its own, whose calls are waited for in virtual time.
class ClientMachine {
 public:
  ClientMachine(World& world, const std::string& address, const std::string& secret)
      : world_(world), process_(world.AddHost(address)->Start("client")) {
    KfsClient::Options options;
    options.metaservers = {MetaMachine::kAddress};
    options.volume = "data";
    options.credentials = Credentials::Root(secret).With({.tls = TlsMode::kOff, .socket_dir = {}});
    options.connect_timeout = std::chrono::seconds(60);
    options.loop = &process_->loop();
    auto connected = Wait<std::unique_ptr<KfsClient>>([&](auto done) { KfsClient::Connect(options, done); });
    EXPECT_TRUE(connected.ok()) << connected.status().ToString();
    if (connected.ok()) client_ = std::move(*connected);
  }
  ~ClientMachine() {
    process_->Kill();
    client_.reset();
  }
  KfsClient& client() { return *client_; }

  template <typename T, typename Fn>
  Result<T> Wait(Fn call) {
    auto result = std::make_shared<std::optional<Result<T>>>();
    world_.At(world_.now(), process_,
              [&call, result] { call([result](Result<T> r) { result->emplace(std::move(r)); }); });
    if (!world_.RunUntil([&] { return result->has_value(); }, 600 * kSecond))
      return Status(ETIMEDOUT, "no answer in ten minutes");
    return std::move(**result);
  }
  template <typename Fn>
  Status WaitStatus(Fn call) {
    return Wait<int>([&](auto done) { call([done](const Status& s) { done(s.ok() ? Result<int>(0) : s); }); })
        .status();
  }

 private:
  World& world_;
  const std::shared_ptr<Process> process_;
  std::unique_ptr<KfsClient> client_;
};

}  // namespace kfs::sim
