// A chunkserver's chunks on its disk: checksums and pending checksums, the dirty flag, versions, mutations
// and deletion, while the process is killed or the power goes before any call, and calls fail.
//
// What a chunk may hold is a list of contents: what was made durable last, and each that it has had since.
// While the process lives it reads as the last one; killed in a call, each block is from before it or after
// it; when the power has gone, each sector is from one of the list. Nothing is ever called corrupt but what
// rot has changed, and that always is.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chunkserver/chunk_store.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "tests/sim/disk/hash.h"
#include "tests/sim/parts/part.h"
#include "tests/sim/parts/planted_ops.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kChunkBytes = 4 * kBlockSize;
constexpr int kSteps = 24;
constexpr uint64_t kLive = 2;  // chunks at a time

class StillClock : public Clock {
 public:
  TimeNs WallNow() const override { return 1000000000ll * 1000000000 + now.time_since_epoch().count(); }
  MonoTime MonoNow() const override { return now; }
  MonoTime now = MonoTime(std::chrono::hours(1));
};

class LotEntropy : public Entropy {
 public:
  explicit LotEntropy(uint64_t seed) : lot_(seed) {}
  void Fill(char* to, size_t size) override {
    for (size_t i = 0; i < size; ++i) to[i] = static_cast<char>(lot_.Next());
  }

 private:
  Lot lot_;
};

struct Known {
  bool created = false;  // there is such a chunk; one that was never durable may go with the power
  bool durable = false;
  ChunkVersion version = kFirstChunkVersion;
  std::vector<std::string> may_be = {std::string(kChunkBytes, '\0')};
  size_t open = 1;                      // how many of the last ones blocks may be of, while no power is lost
  std::optional<Chunk::Steps> ordered;  // of a mutation that is not answered yet
};

std::string After(std::string content, const Chunk::Steps& steps) {
  for (const auto& step : steps) {
    if (step.kind() == pb::ChunkStep::ALLOCATE) continue;
    const uint64_t length =
        step.kind() == pb::ChunkStep::TRUNCATE ? kChunkBytes - step.offset() : step.length();
    content.replace(step.offset(), length, length, '\0');
  }
  return content;
}

class ChunksRun {
 public:
  explicit ChunksRun(const PartPlan& plan)
      : plan_(plan),
        lot_(plan.seed ^ 0x6368756e6bull),
        entropy_(plan.seed),
        disk_({.seed = plan.seed, .tearing = Tearing::kSectors}),
        keep_(lot_.Coin() ? std::chrono::hours(24) : std::chrono::hours(0)) {
    boot_[0] = 1;
    (void)disk_.Mkdir("/d0");
    (void)disk_.SyncDir("/");
    for (uint64_t i = 0; i < kLive; ++i) chunks_[next_id_++];
  }

  PartFigures Go() {
    Open();
    for (int step = 0; step < kSteps && figures_.ok; ++step) Step();
    if (figures_.ok) Restart(/*power=*/false);
    if (figures_.ok && !plan_.quiet) Rot();
    store_.reset();
    figures_.virtual_time = (clock_.now - began_).count();
    figures_.hash = HashMore(HashMore(hash_, disk_.history_hash()), figures_.ok ? 1 : 0);
    return figures_;
  }

 private:
  enum class Fate : uint8_t { kGoesOn, kFailed, kKilled, kPowerLost };

  static ChunkKey Key(uint64_t id) { return {VolumeId(1), ChunkId(id)}; }

  void Open() {
    ops_ = std::make_unique<PlantedOps>(disk_, plan_.planted);
    ChunkStore::Options o;
    o.data_dirs = {"/d0"};
    o.ops = ops_.get();
    o.clock = &clock_;
    o.entropy = &entropy_;
    o.boot = boot_;
    o.garbage_keep = keep_;
    o.open_chunks_max = 1 + lot_.Below(2);
    auto opened = ChunkStore::Open(std::move(o));
    if (!opened.ok()) return figures_.Wrong("the store does not open: " + opened.status().ToString());
    store_ = std::move(*opened);
  }

  // Another process takes the place of this one, on what is left of the disk.
  void Restart(bool power) {
    KFS_LOG(debug, "part.restarts power={} calls={}", power, disk_.calls());
    disk_.SetFaults({.off_from = 0});
    store_.reset();
    ops_.reset();
    if (power) {
      disk_.PowerLoss(lot_.Next());
      boot_[0]++;
    } else {
      disk_.Crash();
    }
    disk_.SetFaults({});
    Open();
    std::vector<uint64_t> ids;
    for (const auto& [id, known] : chunks_) ids.push_back(id);
    for (const uint64_t id : ids) {
      Known& known = chunks_.at(id);
      if (!figures_.ok) return;
      if (known.ordered && !Order(id, known, power)) {
        Replace(id);
      } else {
        Look(id, known, power);
      }
    }
  }

  // Does it, in the middle of which the process may be killed, the power may go, or a call may fail.
  template <typename Fn>
  Fate Try(Fn what, Status* status) {
    Fate fate = Fate::kGoesOn;
    DiskFaults faults;
    bool failed = false;
    if (!plan_.quiet && lot_.Below(4) == 0) {
      const uint64_t kind = lot_.Below(5);
      const uint64_t n = lot_.Below(8);
      fate = kind == 0 ? Fate::kFailed : kind < 3 ? Fate::kKilled : Fate::kPowerLost;
      if (fate == Fate::kFailed) {
        disk_.BeforeCall([this, &failed, left = n](const DiskCall& call) mutable {
          if ((call.op != DiskOp::kWrite && call.op != DiskOp::kAllocate) || left-- != 0) return;
          failed = true;
          disk_.SetFaults({.fail = {{call.number, ENOSPC}}});
        });
      } else {
        faults.off_from = disk_.calls() + n;
      }
    }
    // Where a write ends early, it goes on; a killed one stops at a page's border.
    if (fate == Fate::kGoesOn) faults.short_write = 500;
    disk_.SetFaults(faults);
    *status = what();
    disk_.BeforeCall({});
    disk_.SetFaults({});
    hash_ = HashMore(hash_, static_cast<uint64_t>(status->err()));
    if (fate == Fate::kFailed && (!failed || status->ok())) fate = Fate::kGoesOn;
    if (fate != Fate::kGoesOn) ++figures_.faults;
    if (fate == Fate::kGoesOn && !status->ok()) figures_.Wrong("refused: " + status->ToString());
    return fate;
  }

  void Step() {
    auto it = chunks_.begin();
    std::advance(it, static_cast<int64_t>(lot_.Below(chunks_.size())));
    const uint64_t id = it->first;
    Known& known = it->second;
    ++figures_.calls;
    clock_.now += std::chrono::milliseconds(lot_.Below(500));
    const uint64_t kind = lot_.Below(12);
    if (kind == 0) return SyncAll();
    if (kind == 1 && !plan_.quiet) {
      ++figures_.faults;
      return Restart(lot_.Coin());
    }
    if (kind > 6 || !known.created) return Write(id, known);
    if (kind == 2 || kind == 3) return Sync(id, known);
    if (kind == 4) return Mutate(id, known);
    if (kind == 5) return lot_.Below(3) == 0 ? Delete(id) : Stale(id, known);
    Look(id, known, false);
  }

  static std::vector<uint32_t> Crcs(uint64_t offset, std::string_view data) {
    std::vector<uint32_t> crcs;
    for (size_t at = 0; at < data.size();) {
      const size_t n = std::min<size_t>(data.size() - at, kBlockSize - (offset + at) % kBlockSize);
      crcs.push_back(Crc32c(data.data() + at, n));
      at += n;
    }
    return crcs;
  }
  Status Put(uint64_t id, ChunkVersion version, uint64_t offset, const std::string& data,
             Wait wait = Wait::kAllowed) {
    uint64_t detail = 0;
    return store_->Write(Key(id), version, offset, data, Crcs(offset, data), wait, &detail).status();
  }

  struct Piece {
    uint64_t offset;
    std::string data;
  };
  // Whole blocks, or any bytes.
  Piece AnyPiece() {
    const uint64_t unit = lot_.Below(3) == 0 ? 1 : kBlockSize;
    Piece piece{lot_.Below(kChunkBytes / unit) * unit, {}};
    const uint64_t size = unit * (1 + lot_.Below(2 * kBlockSize / unit));
    piece.data.assign(std::min(size, kChunkBytes - piece.offset), static_cast<char>(1 + lot_.Below(255)));
    return piece;
  }
  static std::string With(std::string content, const Piece& piece) {
    content.replace(piece.offset, piece.data.size(), piece.data);
    return content;
  }

  void Write(uint64_t id, Known& known) {
    const Piece piece = AnyPiece();
    KFS_LOG(debug, "part.write chunk={} version={} offset={} size={} byte={}", id, known.version.v,
            piece.offset, piece.data.size(), static_cast<int>(piece.data[0]));
    Status status;
    const Fate fate = Try([&] { return Put(id, known.version, piece.offset, piece.data); }, &status);
    known.may_be.push_back(With(known.may_be.back(), piece));
    known.open = status.ok() ? 1 : 2;
    known.created = known.created || status.ok();
    if (fate == Fate::kFailed) return Look(id, known, false);
    if (fate != Fate::kGoesOn) Restart(fate == Fate::kPowerLost);
  }

  // Others write while the disk works, and what they write may be covered or not.
  void Sync(uint64_t id, Known& known) {
    KFS_LOG(debug, "part.sync chunk={}", id);
    const bool others = lot_.Coin();
    const size_t covered = known.may_be.size() - 1;
    Status status;
    const Fate fate = Try(
        [&] {
          if (others && !plan_.quiet) {
            disk_.BeforeCall([&](const DiskCall& call) {
              if (call.op != DiskOp::kSync || lot_.Coin()) return;
              const Piece piece = AnyPiece();
              if (Put(id, known.version, piece.offset, piece.data, Wait::kNever).ok())
                known.may_be.push_back(With(known.may_be.back(), piece));
            });
          }
          return store_->Sync(VolumeId(1), std::vector<uint64_t>{id});
        },
        &status);
    if (status.ok()) {
      known.may_be.erase(known.may_be.begin(), known.may_be.begin() + static_cast<int64_t>(covered));
      known.durable = true;
    }
    if (fate == Fate::kFailed) return Look(id, known, false);
    if (fate != Fate::kGoesOn) Restart(fate == Fate::kPowerLost);
  }

  void SyncAll() {
    clock_.now += std::chrono::seconds(lot_.Below(10));
    KFS_LOG(debug, "part.sync_all calls={}", disk_.calls());
    Status status;
    const Fate fate = Try(
        [&] {
          store_->SyncChangedDisks();
          return Status();
        },
        &status);
    if (fate != Fate::kGoesOn) return Restart(fate == Fate::kPowerLost);
    for (auto& [id, known] : chunks_) {
      known.may_be.erase(known.may_be.begin(), known.may_be.end() - 1);
      known.durable = known.created;
    }
  }

  void Mutate(uint64_t id, Known& known) {
    Chunk::Steps steps;
    for (uint64_t i = 1 + lot_.Below(2); i > 0; --i) {
      constexpr pb::ChunkStep::Kind kKinds[] = {pb::ChunkStep::TRUNCATE, pb::ChunkStep::ZERO,
                                                pb::ChunkStep::ALLOCATE};
      auto* step = steps.Add();
      step->set_kind(kKinds[lot_.Below(3)]);
      const uint64_t unit = lot_.Coin() ? 1 : kBlockSize;
      step->set_offset(lot_.Below(kChunkBytes / unit) * unit);
      step->set_length(1 + lot_.Below(kChunkBytes - step->offset()));
    }
    KFS_LOG(debug, "part.mutate chunk={} from={} steps={}", id, known.version.v, steps.size());
    known.ordered = steps;
    Status status;
    const Fate fate = Try([&] { return Ask(id, known); }, &status);
    if (status.ok()) Ordered(known, false);
    if (fate == Fate::kFailed) {
      (void)Order(id, known, false);
      return Look(id, known, false);
    }
    if (fate != Fate::kGoesOn) Restart(fate == Fate::kPowerLost);
  }
  Status Ask(uint64_t id, const Known& known) {
    return store_->Mutate(Key(id), known.version, ChunkVersion(known.version.v + 1), *known.ordered).status();
  }
  // As the metaserver does: until it is answered, and nobody uses the chunk before. False: the header of one
  // that was never durable is torn.
  bool Order(uint64_t id, Known& known, bool power_lost) {
    const Status s = Ask(id, known);
    if (power_lost && !known.durable && s.code() == Code::kCorrupt) return false;
    if (s.ok()) {
      Ordered(known, power_lost);
    } else {
      figures_.Wrong(fmt::format("chunk {}: an order that is given again fails: {}", id, s.ToString()));
    }
    return true;
  }
  void Replace(uint64_t id) {
    chunks_.erase(id);
    chunks_[next_id_++];
  }
  // Durably, with all that it was before. What may be one or the other, as power was lost, still is.
  void Ordered(Known& known, bool power_lost) {
    for (std::string& content : known.may_be) content = After(content, *known.ordered);
    known.version = ChunkVersion(known.version.v + 1);
    known.ordered.reset();
    known.created = known.durable = true;
    if (!power_lost)
      known.may_be.erase(known.may_be.begin(), known.may_be.end() - static_cast<int64_t>(known.open));
  }

  // What comes late, for a version that has been.
  void Stale(uint64_t id, const Known& known) {
    if (known.version == kFirstChunkVersion) return;
    const Piece piece = AnyPiece();
    const Status s = Put(id, ChunkVersion(known.version.v - 1), piece.offset, piece.data);
    if (s.code() != Code::kStaleChunk)
      figures_.Wrong(fmt::format("chunk {}: a late write: {}", id, s.ToString()));
  }

  void Delete(uint64_t id) {
    KFS_LOG(debug, "part.delete chunk={}", id);
    const ChunkVersion version = chunks_.at(id).version;
    Status status;
    const Fate fate = Try([&] { return store_->Delete(VolumeId(1), std::vector<uint64_t>{id}); }, &status);
    Replace(id);
    if (fate != Fate::kGoesOn) return Restart(fate == Fate::kPowerLost);
    const Piece piece = AnyPiece();
    const Status late = Put(id, version, piece.offset, piece.data);
    if (keep_ == Duration::zero() && late.code() != Code::kStaleChunk)
      figures_.Wrong(fmt::format("chunk {} is deleted, and a late write: {}", id, late.ToString()));
  }

  // Reads all of it, and takes what is there for what it is from here on.
  void Look(uint64_t id, Known& known, bool power_lost) {
    uint64_t detail = 0;
    const Result<Buffer> read = store_->Read(Key(id), known.version, 0, kChunkBytes, Wait::kAllowed, &detail);
    if (!read.ok()) {
      const bool stale = read.status().code() == Code::kStaleChunk;
      const bool may_go = !known.created || (power_lost && !known.durable);
      // The header of one that was never durable may be torn.
      if (!may_go || !(stale || (power_lost && read.status().code() == Code::kCorrupt)))
        return figures_.Wrong(fmt::format("chunk {} cannot be read: {}", id, read.status().ToString()));
      return Replace(id);
    }
    const std::string there(read->view());
    const size_t piece = power_lost ? kSectorSize : kBlockSize;
    const size_t first = power_lost ? 0 : known.may_be.size() - known.open;
    for (size_t at = 0; at < kChunkBytes; at += piece) {
      bool known_piece = false;
      for (size_t i = first; i < known.may_be.size() && !known_piece; ++i)
        known_piece = known.may_be[i].compare(at, piece, there, at, piece) == 0;
      if (!known_piece) {
        std::string had;
        for (size_t i = first; i < known.may_be.size(); ++i)
          had += fmt::format(" {}", static_cast<int>(known.may_be[i][at]));
        return figures_.Wrong(fmt::format("chunk {} has {} at {} which it never had:{}", id,
                                          static_cast<int>(there[at]), at, had));
      }
    }
    hash_ = HashMore(hash_, there);
    known.created = true;
    known.open = 1;
    if (power_lost) {
      known.may_be = {there};  // on the platter
      known.durable = true;
    } else if (known.may_be.back() != there) {
      known.may_be.push_back(there);
    }
  }

  // Of a bit at rest.
  void Rot() {
    for (auto& [id, known] : chunks_) {
      if (!known.created) continue;
      const bool meta = lot_.Coin();
      const std::string path =
          meta ? store_->disks()[0]->MetaPath(Key(id)) : store_->disks()[0]->DataPath(Key(id));
      store_.reset();
      if (disk_.Rot(path, lot_.Next())) ++figures_.faults;
      Open();
      if (!figures_.ok) return;
      uint64_t detail = 0;
      const Result<Buffer> read =
          store_->Read(Key(id), known.version, 0, kChunkBytes, Wait::kAllowed, &detail);
      if (read.ok() && read->view() != known.may_be.back())
        figures_.Wrong(fmt::format("rot in {} is not noticed", path));
    }
  }

  const PartPlan plan_;
  Lot lot_;
  LotEntropy entropy_;
  StillClock clock_;
  const MonoTime began_ = clock_.now;
  SimDisk disk_;
  const Duration keep_;
  BootId boot_{};
  std::unique_ptr<PlantedOps> ops_;
  std::unique_ptr<ChunkStore> store_;
  std::map<uint64_t, Known> chunks_;
  uint64_t next_id_ = 1;
  uint64_t hash_ = kHashSeed;
  PartFigures figures_;
};

}  // namespace

PartFigures RunChunks(const PartPlan& plan) { return ChunksRun(plan).Go(); }

}  // namespace kfs::sim
