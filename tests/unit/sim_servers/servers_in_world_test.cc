// A real metaserver and a real chunkserver in a simulated world: what was synced is there after their power
// was lost, and what has happened once happens again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>

#include "tests/sim/cluster/machines.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs::sim {
namespace {

constexpr char kSecret[] = "0123456789abcdef-test";
constexpr char kMetaserver[] = "10.0.0.1:7400", kChunkserver[] = "10.0.0.2:7500";

// Processes stand still, connections end, clocks drift.
Mishaps Bad() {
  Mishaps m;
  m.stop_chance = 0.00005;
  m.stop_max = 3 * kSecond;
  m.slow_chance = 0.02;
  m.cut_chance = 0.005;
  m.drift_max = 0.01;
  return m;
}

// A mount whose calls are waited for in virtual time.
class Mount {
 public:
  Mount(World& world, const std::string& address) : machine_(world, address, 1, Options()) {
    machine_.Start();
    EXPECT_TRUE(world.RunUntil([&] { return machine_.client != nullptr; }, 60 * kSecond));
  }
  ~Mount() {
    machine_.Crash(false);
    machine_.world.RunUntil(machine_.world.now());
  }
  KfsClient& client() { return *machine_.client; }

  template <typename T, typename Fn>
  Result<T> Wait(Fn call) {
    auto result = std::make_shared<std::optional<Result<T>>>();
    machine_.world.At(machine_.world.now(), machine_.process,
                      [&call, result] { call([result](Result<T> r) { result->emplace(std::move(r)); }); });
    if (!machine_.world.RunUntil([&] { return result->has_value(); }, 600 * kSecond))
      return Status(ETIMEDOUT, "no answer in ten minutes");
    return std::move(**result);
  }
  template <typename Fn>
  Status WaitStatus(Fn call) {
    return Wait<int>([&](auto done) { call([done](const Status& s) { done(s.ok() ? Result<int>(0) : s); }); })
        .status();
  }

 private:
  static KfsClient::Options Options() {
    KfsClient::Options options;
    options.metaservers = {kMetaserver};
    options.volume = "data";
    options.credentials = Credentials::Root(kSecret).With({.tls = TlsMode::kOff, .socket_dir = {}});
    options.connect_timeout = std::chrono::seconds(60);
    return options;
  }
  MountMachine machine_;
};

class ServersInWorldTest : public testing::Test {
 protected:
  ServersInWorldTest() {
    std::ofstream(secret_file_) << kSecret << "\n";
    EXPECT_EQ(chmod(secret_file_.c_str(), 0600), 0);
  }

  // Both servers of a world.
  struct Servers {
    Servers(World& world, uint64_t seed, const std::string& secret_file)
        : meta(world, kMetaserver, seed, secret_file, "data", 1),
          chunks(world, kChunkserver, seed + 1, secret_file, kMetaserver) {}
    ~Servers() { End(false); }
    void Begin() {
      meta.Start();
      chunks.Start();
      EXPECT_TRUE(meta.world.RunUntil([&] { return chunks.server != nullptr && chunks.server->registered(); },
                                      60 * kSecond));
    }
    void End(bool power) {
      meta.Crash(power);
      chunks.Crash(power);
      meta.world.RunUntil(meta.world.now());
    }
    void LosePower() {
      End(true);
      Begin();
    }
    MetaMachine meta;
    ChunkMachine chunks;
  };

  // A directory that was synced, and the end of all power. The world's hash.
  uint64_t MakeAndLose(uint64_t seed, const Mishaps& mishaps) {
    World world(seed, mishaps);
    Servers servers(world, seed, secret_file_);
    servers.Begin();
    if (HasFailure()) return 0;
    {
      Mount a(world, "10.0.1.1:1");
      if (HasFailure()) return 0;
      const auto made = a.Wait<Entry>([&](auto done) { a.client().Mkdir({}, Ino(1), "dir", 0755, done); });
      EXPECT_TRUE(made.ok()) << made.status().ToString();
      const Status synced = a.WaitStatus([&](auto done) { a.client().Fsync(Ino(1), done); });
      EXPECT_TRUE(synced.ok()) << synced.ToString();
      servers.LosePower();
      const auto found = a.Wait<Entry>([&](auto done) { a.client().Lookup({}, Ino(1), "dir", done); });
      EXPECT_TRUE(found.ok()) << found.status().ToString();
    }
    Mount b(world, "10.0.1.2:1");
    if (HasFailure()) return 0;
    const auto found = b.Wait<Entry>([&](auto done) { b.client().Lookup({}, Ino(1), "dir", done); });
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    return world.Hash();
  }

  // A directory that nobody has synced, and the end of all power a second later.
  void MakeAndLoseASecondLater(uint64_t seed) {
    World world(seed);
    Servers servers(world, seed, secret_file_);
    servers.Begin();
    ASSERT_FALSE(HasFailure());
    {
      Mount a(world, "10.0.1.1:1");
      ASSERT_FALSE(HasFailure());
      const auto made = a.Wait<Entry>([&](auto done) { a.client().Mkdir({}, Ino(1), "dir", 0755, done); });
      EXPECT_TRUE(made.ok()) << made.status().ToString();
      world.RunUntil(world.now() + kSecond);
    }
    servers.LosePower();
    Mount b(world, "10.0.1.2:1");
    ASSERT_FALSE(HasFailure());
    const auto found = b.Wait<Entry>([&](auto done) { b.client().Lookup({}, Ino(1), "dir", done); });
    EXPECT_TRUE(found.ok()) << found.status().ToString();
  }

  // Bytes of a file that were synced, and the end of all power. The world's hash.
  uint64_t WriteAndLose(uint64_t seed, const Mishaps& mishaps) {
    World world(seed, mishaps);
    Servers servers(world, seed, secret_file_);
    servers.Begin();
    if (HasFailure()) return 0;
    const std::string text(100'000, 'x');
    {
      Mount a(world, "10.0.1.1:1");
      if (HasFailure()) return 0;
      const auto file = a.Wait<KfsClient::Opened>(
          [&](auto done) { a.client().Create({}, Ino(1), "file", 0644, O_RDWR, done); });
      EXPECT_TRUE(file.ok()) << file.status().ToString();
      if (!file.ok()) return 0;
      const auto written = a.Wait<uint32_t>([&](auto done) {
        a.client().Write({}, file->handle, 0, Buffer::Copy(text.data(), text.size()), {}, done);
      });
      EXPECT_TRUE(written.ok()) << written.status().ToString();
      const Status synced = a.WaitStatus([&](auto done) { a.client().Fsync(file->handle, false, done); });
      EXPECT_TRUE(synced.ok()) << synced.ToString();
    }
    servers.LosePower();
    Mount b(world, "10.0.1.2:1");
    if (HasFailure()) return 0;
    const auto found = b.Wait<Entry>([&](auto done) { b.client().Lookup({}, Ino(1), "file", done); });
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    if (!found.ok()) return 0;
    EXPECT_EQ(found->attr.size, text.size());
    const auto file =
        b.Wait<KfsClient::Opened>([&](auto done) { b.client().Open({}, found->attr.ino, O_RDONLY, done); });
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    if (!file.ok()) return 0;
    const auto read = b.Wait<Buffer>(
        [&](auto done) { b.client().Read({}, file->handle, 0, static_cast<uint32_t>(text.size()), done); });
    EXPECT_TRUE(read.ok()) << read.status().ToString();
    if (read.ok()) {
      EXPECT_EQ(read->view(), text);
    }
    return world.Hash();
  }

  const TempDir dir_;
  const std::string secret_file_ = dir_.path() + "/secret";
};

TEST_F(ServersInWorldTest, ADirectoryThatWasSyncedIsThereAfterAllPowerWasLost) {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    MakeAndLose(seed, seed <= 5 ? Mishaps() : Bad());
  }
}

TEST_F(ServersInWorldTest, ADirectoryThatNobodySyncedIsThereASecondLater) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    MakeAndLoseASecondLater(seed);
  }
}

TEST_F(ServersInWorldTest, BytesThatWereSyncedAreThereAfterAllPowerWasLost) {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    WriteAndLose(seed, seed <= 5 ? Mishaps() : Bad());
  }
}

TEST_F(ServersInWorldTest, TheSameSeedIsTheSameWorld) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_EQ(MakeAndLose(seed, Bad()), MakeAndLose(seed, Bad())) << "seed " << seed;
    EXPECT_EQ(WriteAndLose(seed, Bad()), WriteAndLose(seed, Bad())) << "seed " << seed;
  }
  EXPECT_NE(WriteAndLose(1, {}), WriteAndLose(2, {}));
}

}  // namespace
}  // namespace kfs::sim
