// A copy of a database that arrives on a simulated disk whose power is lost before any one of the calls: it
// is whole or it is not there, and once its sender or its taker was told so, it is.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "metaserver/images/image_store.h"
#include "tests/sim/disk/sim_file_ops.h"
#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {
namespace {

constexpr char kData[] = "/var/meta", kTransfer[] = "t-1", kPlace[] = "/var/meta/volumes/7";

// A file that ends in mid-piece, one that ends with a piece, and an empty one.
std::map<std::string, std::string> Files() {
  return {{"000007.sst", std::string(kImagePiece + 1000, 'a')},
          {"MANIFEST-000004", std::string(kImagePiece, 'b')},
          {"CURRENT", ""}};
}

// A metaserver's process, as far as copies matter to it.
class Receiver {
 public:
  Receiver(World& world, SimDisk& disk)
      : world_(world), files_(disk), process_(world.AddHost("10.0.0.1")->Start("metaserver")) {
    jobs_ = std::make_unique<JobThread>(process_->loop(), "jobs");
    store_ = std::make_unique<meta::ImageStore>(kData, files_, *jobs_, process_->loop().clock());
  }
  ~Receiver() {
    process_->Kill();
    store_.reset();
    jobs_.reset();
  }

  Status Open() {
    if (const int err = files_.MakeDirs(std::string(kData) + "/volumes"); err < 0)
      return ErrnoStatus(-err, "volumes");
    return store_->Open();
  }
  // All of a transfer; its end.
  Status Receive() {
    pb::ImagePutRequest request;
    request.set_transfer(kTransfer);
    request.mutable_begin()->set_volume(7);
    KFS_RETURN_IF_ERROR(Put(request, ""));
    pb::ImageManifest manifest;
    manifest.set_transfer(kTransfer);
    manifest.set_volume(7);
    for (const auto& [name, bytes] : Files()) {
      Sha256 sum;
      sum.Add(bytes);
      for (uint64_t offset = 0; offset <= bytes.size(); offset += kImagePiece) {
        request.mutable_piece()->set_name(name);
        request.mutable_piece()->set_offset(offset);
        KFS_RETURN_IF_ERROR(Put(request, bytes.substr(offset, kImagePiece)));
      }
      pb::ImageFile& file = *manifest.add_file();
      file.set_name(name);
      file.set_size(bytes.size());
      file.set_sha256(sum.Finish());
    }
    *request.mutable_finish()->mutable_manifest() = manifest;
    return Put(request, "");
  }
  bool Has() const { return store_->Find(kTransfer) != nullptr; }
  Status Place() { return store_->Place(kTransfer, kPlace); }
  std::string Path() const { return store_->Path(kTransfer); }

 private:
  Status Put(const pb::ImagePutRequest& request, const std::string& payload) {
    std::optional<Status> end;
    world_.At(world_.now(), process_, [&] {
      store_->Put(request, Buffer::Copy(payload.data(), payload.size()), [&](const Status& s) { end = s; });
    });
    EXPECT_TRUE(world_.RunUntil([&] { return end.has_value(); }, 60 * kSecond));
    return end.value_or(Status(ETIMEDOUT, "no end"));
  }

  World& world_;
  SimFileOps files_;
  const std::shared_ptr<Process> process_;
  std::unique_ptr<JobThread> jobs_;
  std::unique_ptr<meta::ImageStore> store_;
};

struct Told {
  bool whole = false, placed = false;
};

// Receives and places a copy on a disk that is off from the call of that number on.
Told RunUntilOff(SimDisk& disk, uint64_t seed, uint64_t off_from) {
  disk.SetFaults({.off_from = off_from});
  World world(seed);
  Receiver receiver(world, disk);
  Told told;
  if (!receiver.Open().ok()) return told;
  told.whole = receiver.Receive().ok();
  told.placed = told.whole && receiver.Place().ok();
  return told;
}

void ExpectFiles(SimDisk& disk, const std::string& dir) {
  for (const auto& [name, bytes] : Files()) {
    struct stat st {};
    EXPECT_EQ(disk.Stat(dir + "/" + name, &st), 0) << name;
    EXPECT_TRUE(disk.Content(dir + "/" + name) == bytes) << name;
  }
}

TEST(ImagePowerTest, ACopyIsWholeOrNotThereAndStaysOnceThatWasTold) {
  bool all_placed = false;
  uint64_t cut = 0, whole = 0, gone = 0;
  for (; !all_placed; ++cut) {
    ASSERT_LT(cut, 500u);
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", power lost before call " << cut);
      SimDisk disk({.seed = seed, .tearing = Tearing::kSectors});
      const Told told = RunUntilOff(disk, seed, cut);
      all_placed = told.placed;
      disk.PowerLoss(seed * 1000 + cut);
      World world(seed);
      Receiver receiver(world, disk);
      ASSERT_TRUE(receiver.Open().ok());
      struct stat st {};
      const bool placed = disk.Stat(kPlace, &st) == 0;
      EXPECT_TRUE(placed || !told.placed);
      EXPECT_TRUE(placed || receiver.Has() || !told.whole);
      EXPECT_FALSE(placed && receiver.Has());
      if (placed) ExpectFiles(disk, kPlace);
      if (receiver.Has()) ExpectFiles(disk, receiver.Path());
      ++(placed || receiver.Has() ? whole : gone);
    }
  }
  EXPECT_GT(cut, 20u);
  EXPECT_GT(whole, 10u);
  EXPECT_GT(gone, 40u);
}

// A process that was killed leaves what is not durable yet; the next one says that it is here.
TEST(ImagePowerTest, ACopyThatAKilledProcessHasLeftStaysOnceItIsFound) {
  bool all_placed = false;
  uint64_t found = 0;
  for (uint64_t cut = 0; !all_placed; ++cut) {
    SCOPED_TRACE(testing::Message() << "killed before call " << cut);
    ASSERT_LT(cut, 500u);
    SimDisk disk({.seed = cut + 1, .tearing = Tearing::kSectors});
    all_placed = RunUntilOff(disk, 1, cut).placed;
    disk.Crash();
    disk.SetFaults({});
    bool has = false;
    {
      World world(1);
      Receiver receiver(world, disk);
      ASSERT_TRUE(receiver.Open().ok());
      has = receiver.Has();
    }
    disk.PowerLoss(1000 + cut);
    World world(2);
    Receiver receiver(world, disk);
    ASSERT_TRUE(receiver.Open().ok());
    EXPECT_TRUE(!has || receiver.Has());
    found += has;
  }
  EXPECT_GT(found, 2u);
}

}  // namespace
}  // namespace kfs::sim
