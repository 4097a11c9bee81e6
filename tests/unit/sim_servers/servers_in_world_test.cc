// A real metaserver and a real chunkserver in a simulated world: what was synced is there after their power
// was lost, and what has happened once happens again.
#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/common/temp_dir.h"
#include "tests/unit/sim_servers/machines.h"

namespace kfs::sim {
namespace {

constexpr char kSecret[] = "0123456789abcdef-test";

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

class ServersInWorldTest : public testing::Test {
 protected:
  ServersInWorldTest() {
    std::ofstream(secret_file_) << kSecret << "\n";
    EXPECT_EQ(chmod(secret_file_.c_str(), 0600), 0);
  }

  static void Begin(World& world, ServerMachine& machine, const std::string& what) {
    machine.Start(what);
    ASSERT_TRUE(world.RunUntil([&] { return machine.started().has_value(); }, 60 * kSecond));
    ASSERT_TRUE(machine.started()->ok()) << machine.started()->ToString();
  }

  // A directory that was synced, and the end of the metaserver's power. The world's hash.
  uint64_t MakeAndLose(uint64_t seed, const Mishaps& mishaps) {
    World world(seed, mishaps);
    MetaMachine metaserver(world, seed, secret_file_);
    Begin(world, metaserver, "metaserver");
    if (HasFatalFailure()) return 0;
    {
      ClientMachine a(world, "10.0.1.1", kSecret);
      if (HasFailure()) return 0;
      const auto made = a.Wait<Entry>([&](auto done) { a.client().Mkdir({}, Ino(1), "dir", 0755, done); });
      EXPECT_TRUE(made.ok()) << made.status().ToString();
      const Status synced = a.WaitStatus([&](auto done) { a.client().Fsync(Ino(1), done); });
      EXPECT_TRUE(synced.ok()) << synced.ToString();
      metaserver.LosePower(seed);
      Begin(world, metaserver, "metaserver");
      if (HasFatalFailure()) return 0;
      const auto found = a.Wait<Entry>([&](auto done) { a.client().Lookup({}, Ino(1), "dir", done); });
      EXPECT_TRUE(found.ok()) << found.status().ToString();
    }
    ClientMachine b(world, "10.0.1.2", kSecret);
    if (HasFailure()) return 0;
    const auto found = b.Wait<Entry>([&](auto done) { b.client().Lookup({}, Ino(1), "dir", done); });
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    return world.Hash();
  }

  // A directory that nobody has synced, and the end of the metaserver's power a second later.
  void MakeAndLoseASecondLater(uint64_t seed) {
    World world(seed);
    MetaMachine metaserver(world, seed, secret_file_);
    ASSERT_NO_FATAL_FAILURE(Begin(world, metaserver, "metaserver"));
    {
      ClientMachine a(world, "10.0.1.1", kSecret);
      ASSERT_FALSE(HasFailure());
      const auto made = a.Wait<Entry>([&](auto done) { a.client().Mkdir({}, Ino(1), "dir", 0755, done); });
      EXPECT_TRUE(made.ok()) << made.status().ToString();
      world.RunUntil(world.now() + kSecond);
    }
    metaserver.LosePower(seed);
    ASSERT_NO_FATAL_FAILURE(Begin(world, metaserver, "metaserver"));
    ClientMachine b(world, "10.0.1.2", kSecret);
    ASSERT_FALSE(HasFailure());
    const auto found = b.Wait<Entry>([&](auto done) { b.client().Lookup({}, Ino(1), "dir", done); });
    EXPECT_TRUE(found.ok()) << found.status().ToString();
  }

  // Bytes of a file that were synced, and the end of both servers' power. The world's hash.
  uint64_t WriteAndLose(uint64_t seed, const Mishaps& mishaps) {
    World world(seed, mishaps);
    MetaMachine metaserver(world, seed, secret_file_);
    ChunkMachine chunkserver(world, seed + 1, secret_file_);
    Begin(world, metaserver, "metaserver");
    Begin(world, chunkserver, "chunkserver");
    if (HasFatalFailure()) return 0;
    EXPECT_TRUE(world.RunUntil([&] { return chunkserver.registered(); }, 60 * kSecond));
    const std::string text(100'000, 'x');
    {
      ClientMachine a(world, "10.0.1.1", kSecret);
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
    metaserver.LosePower(seed);
    chunkserver.LosePower(seed);
    Begin(world, metaserver, "metaserver");
    Begin(world, chunkserver, "chunkserver");
    if (HasFatalFailure()) return 0;
    ClientMachine b(world, "10.0.1.2", kSecret);
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

TEST_F(ServersInWorldTest, ADirectoryThatWasSyncedIsThereAfterTheMetaserversPowerWasLost) {
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
