#include "tests/sim/parts/model_chunks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "common/log.h"
#include "metaserver/store/keys.h"

namespace kfs::sim {
namespace {

constexpr Nanos kLate = 3 * kSecond, kVeryLate = 20 * kSecond;

std::string UuidOf(uint64_t server) { return fmt::format("chunkserver-{}", server); }

// Whether a file's record says that the chunk is there, by whatever number of that chunkserver.
bool IsNamed(meta::Volume& volume, uint64_t server, uint64_t chunk) {
  meta::Db& db = volume.store.db();
  rec::ChunkOwner owner;
  rec::Chunk record;
  const auto owner_value = db.Get(meta::OwnerKey(ChunkId(chunk)));
  if (!owner_value || !owner.ParseFromString(*owner_value)) return false;
  const auto value = db.Get(meta::ChunkKey(Ino(owner.ino()), owner.index()));
  return value && record.ParseFromString(*value) && record.chunk() == chunk &&
         std::ranges::count(record.server(), server, ModelChunks::WhoIs) != 0;
}

}  // namespace

class ModelChunks::ModelLinks final : public meta::ChunkserverLinks {
 public:
  explicit ModelLinks(ModelChunks& model) : model_(model) {}
  bool IsUp(const meta::Chunkserver& server) const override {
    return model_.servers_.at(WhoIs(server.id.v)).up;
  }
  void Request(const meta::Chunkserver& server, Op op, const google::protobuf::MessageLite& request,
               Done done) override {
    model_.Request(WhoIs(server.id.v), op, request, std::move(done));
  }

 private:
  ModelChunks& model_;
};

// Of one process.
struct ModelChunks::Inventories {
  Inventories(EventLoop& loop, meta::Executor& executor, meta::Chunkservers& servers, pb::ClusterConf known)
      : conf(std::move(known)),
        scans(loop, "scans"),
        missing(loop.clock(), executor, servers, alarms),
        inventory(
            loop.clock(), scans, executor, servers, missing, points,
            [this]() -> const pb::ClusterConf& { return conf; }, alarms) {}
  ~Inventories() { inventory.Stop(); }

  pb::ClusterConf conf;
  JobThread scans;
  meta::SyncPoints points{"key"};
  meta::Alarms alarms;
  meta::MissingChunks missing;
  meta::Inventory inventory;
};

ModelChunks::ModelChunks(World& world, MetaHost& meta, int servers, PartFigures* figures)
    : world_(world), meta_(meta), figures_(figures) {
  for (uint64_t id = 1; id <= static_cast<uint64_t>(servers); ++id) {
    servers_[id].id = id;
    pb::ChunkserverConf* c = conf_.add_chunkserver();
    c->set_id(id);
    c->set_uuid(UuidOf(id));
  }
  pb::VolumeConf* v = conf_.add_volume();
  v->set_id(1);
  v->set_name(MetaHost::kVolume);
  conf_.set_next_volume(2);
}

Nanos ModelChunks::Way() {
  return world_.Between(20 * kMicro, calm_ || world_.Chance(0.95) ? kMilli : kLate);
}

void ModelChunks::Start(Nanos report_max) {
  report_max_ = report_max;
  for (const auto& [id, server] : servers_) NextReport(id);
}

// ---- from the metaserver

std::unique_ptr<meta::ChunkserverLinks> ModelChunks::Links() { return std::make_unique<ModelLinks>(*this); }

std::shared_ptr<void> ModelChunks::Serve() {
  meta::Executor& executor = *meta_.executor();
  meta::Chunkservers& servers = *meta_.chunkservers();
  servers.OnUp([&executor](ServerId id) { executor.ChunkserverUp(id); });
  servers.Configure(conf_);
  for (const auto& [id, server] : servers_) {
    if (server.up) Register(id);
  }
  auto made = std::make_shared<Inventories>(meta_.process()->loop(), executor, servers, conf_);
  inventories_ = made;
  return made;
}

void ModelChunks::Register(uint64_t server) {
  if (meta_.chunkservers() == nullptr || servers_.at(server).id == 0) return;
  pb::RegisterChunkserverRequest r;
  r.set_uuid(UuidOf(server));
  r.set_address(fmt::format("10.0.2.{}:1", server));
  r.add_disk()->set_capacity(1ull << 40);
  r.mutable_disk(0)->set_available(1ull << 39);
  meta_.chunkservers()->Register(r, nullptr, [](const Result<ServerId>&) {});
}

void ModelChunks::Request(uint64_t server, Op op, const google::protobuf::MessageLite& request,
                          meta::ChunkserverLinks::Done done) {
  if (!meta_.up()) return;  // it was killed before it came to this
  if (op == Op::kDeleteChunks) {
    const auto& r = static_cast<const pb::DeleteChunksRequest&>(request);
    Told(server, {r.chunk().begin(), r.chunk().end()}, "its records");
  }
  const std::shared_ptr<Process> process = meta_.process();
  const Nanos sent = process->Time();
  const bool lost = !calm_ && world_.Chance(0.05);
  if (lost) {
    ++figures_->faults;
    world_.At(sent + world_.Between(0, kSecond), process,
              [done] { done(Status(EIO, Code::kConnectionLost, "lost"), ""); });
    if (world_.Chance(0.5)) return;
    done = nullptr;
  }
  meta::ChunkserverLinks::Done answer;
  if (done != nullptr) {
    answer = [this, process, done](const Status& s, const std::string& body) {
      world_.At(world_.now() + Way(), process, [done, s, body] { done(s, body); });
    };
  }
  world_.At(sent + Way(), nullptr, [this, server, op, body = request.SerializeAsString(), answer] {
    Arrives(server, op, body, answer);
  });
}

void ModelChunks::Arrives(uint64_t server, Op op, const std::string& request,
                          const meta::ChunkserverLinks::Done& done) {
  Status s;
  std::string body;
  Server& at = servers_.at(server);
  if (!at.up) {
    s = Status(EIO, Code::kConnectionLost, "down");
  } else if (op == Op::kMutateChunk) {
    pb::MutateChunkRequest order;
    (void)order.ParseFromString(request);
    pb::MutateChunkReply reply;
    reply.set_allocated(4096);
    body = reply.SerializeAsString();
    s = Mutate(at, order);
  } else if (op == Op::kDeleteChunks) {
    pb::DeleteChunksRequest order;
    (void)order.ParseFromString(request);
    Delete(server, {order.chunk().begin(), order.chunk().end()});
  }
  if (done) done(s, body);
}

Status ModelChunks::Mutate(Server& server, const pb::MutateChunkRequest& order) {
  const auto it = server.chunks.find(order.chunk());
  if (it == server.chunks.end()) {
    if (order.existing()) return {};  // it is lost, and nothing takes its place: the judge will tell
    server.chunks[order.chunk()] = order.to();
    highest_ = std::max(highest_, order.chunk());
    return {};
  }
  it->second = std::max(it->second, order.to());
  return {};
}

void ModelChunks::Delete(uint64_t server, const std::vector<uint64_t>& chunks) {
  Server& at = servers_.at(server);
  for (const uint64_t chunk : chunks) {
    const auto it = at.chunks.find(chunk);
    if (it == at.chunks.end()) continue;
    KFS_LOG(debug, "part.deleted at={} server={} chunk={}", world_.now(), server, chunk);
    at.deleted.insert(*it);
    at.chunks.erase(it);
  }
}

int ModelChunks::Write(const Data& data, uint64_t* held) {
  Server& at = servers_.at(WhoIs(data.server));
  if (!at.up) return EAGAIN;
  const auto it = at.chunks.find(data.chunk);
  if (it == at.chunks.end()) {
    if (data.committed) return EIO;
    at.chunks[data.chunk] = data.version;
    highest_ = std::max(highest_, data.chunk);
    if (on_made && !calm_) on_made();
    return 0;
  }
  *held = it->second;
  return it->second == data.version ? 0 : ESTALE;
}

// ---- what is told to be deleted

void ModelChunks::Told(uint64_t server, const std::vector<uint64_t>& chunks, const char* by) {
  for (const uint64_t chunk : chunks) {
    KFS_LOG(debug, "part.garbage at={} server={} chunk={} by={}", world_.now(), server, chunk, by);
    told_.insert({server, chunk});
    if (IsNamed(*meta_.volume(), server, chunk))
      figures_->Wrong(fmt::format("chunk {} is named by a file, and deleted by {}", chunk, by));
    if (IsPassedOver(chunk))
      figures_->Wrong(
          fmt::format("chunk {} is deleted by {}, and was not given out by this database", chunk, by));
  }
  if (on_told && !calm_) on_told();
}

void ModelChunks::TellGarbage(uint64_t server, const std::vector<uint64_t>& chunks, const char* by) {
  server = WhoIs(server);
  Told(server, chunks, by);
  world_.At(meta_.process()->Time() + Way(), nullptr, [this, server, chunks] {
    if (servers_.at(server).up) Delete(server, chunks);
  });
}

void ModelChunks::Ended(bool power, uint64_t next) {
  power_ = power_ || power;
  // One that was killed while it started may have passed some over already.
  next_ = std::exchange(began_, false) ? next : std::min(next_, next);
}

void ModelChunks::Began(meta::Volume& volume) {
  const uint64_t next = volume.store.counters().next_chunk();
  if (next_ != 0 && next_ != next) passed_over_.push_back({next_, next, power_});
  if (next <= highest_) figures_->Wrong(fmt::format("chunk {} may be given out for a second time", highest_));
  power_ = false;
  began_ = true;
  volume.store.Scan("K", "", [this](std::string_view, std::string_view value) {
    rec::Chunk record;
    (void)record.ParseFromArray(value.data(), static_cast<int>(value.size()));
    for (const uint64_t server : record.server()) {
      if (told_.contains({WhoIs(server), record.chunk()}))
        figures_->Wrong(
            fmt::format("chunk {} has been deleted, and is named again after a start", record.chunk()));
    }
    return true;
  });
}

bool ModelChunks::IsPassedOver(uint64_t chunk, bool with_power) const {
  return std::ranges::any_of(passed_over_, [&](const PassedOver& p) {
    return p.from <= chunk && chunk < p.to && (p.power || !with_power);
  });
}

// ---- mishaps and the end

void ModelChunks::GoDown() {
  auto it = servers_.begin();
  std::advance(it, world_.Draw() % servers_.size());
  const uint64_t id = it->first;
  Server& server = it->second;
  if (!server.up) return;
  KFS_LOG(debug, "part.chunkserver_down at={} server={}", world_.now(), id);
  server.up = false;
  for (const auto& chunk : std::exchange(server.deleted, {})) {
    if (world_.Chance(0.5)) server.chunks.insert(chunk);
  }
  world_.At(world_.now() + world_.Between(kMilli, 4 * kSecond), nullptr, [this, id] { Up(id); });
}

void ModelChunks::Renumber() {
  auto it = servers_.begin();
  std::advance(it, world_.Draw() % servers_.size());
  if (!it->second.up) return;
  renumbered_ = true;
  const uint64_t who = it->first, id = std::exchange(it->second.id, 0);
  KFS_LOG(debug, "part.chunkserver_removed at={} server={}", world_.now(), id);
  it->second.up = false;
  auto* all = conf_.mutable_chunkserver();
  all->erase(std::ranges::find(*all, id, &pb::ChunkserverConf::id));
  auto* removed = conf_.add_removed_chunkserver();
  removed->set_id(id);
  removed->set_uuid(UuidOf(who));
  Configure();
  world_.At(world_.now() + world_.Between(kMilli, 3 * kSecond), nullptr, [this, who, id] {
    pb::ChunkserverConf* c = conf_.add_chunkserver();
    c->set_id(id + kServersMax);
    c->set_uuid(UuidOf(who));
    servers_.at(who).id = c->id();
    Configure();
    Up(who);
  });
}

void ModelChunks::Configure() {
  if (!meta_.up()) return;  // it will know
  world_.At(world_.now(), meta_.process(), [this] {
    const std::shared_ptr<Inventories> with = inventories_.lock();
    if (with == nullptr) return;
    with->conf = conf_;
    meta_.chunkservers()->Configure(conf_);
  });
}

void ModelChunks::Up(uint64_t server) {
  if (std::exchange(servers_.at(server).up, true)) return;
  if (meta_.up()) world_.At(world_.now(), meta_.process(), [this, server] { Register(server); });
  Report(server);
}

uint64_t ModelChunks::Held(uint64_t server, uint64_t chunk) const {
  const Chunks& chunks = servers_.at(WhoIs(server)).chunks;
  const auto it = chunks.find(chunk);
  return it == chunks.end() ? 0 : it->second;
}

std::string ModelChunks::Left(const Named& named) const {
  for (const auto& [id, server] : servers_) {
    for (const auto& [chunk, version] : server.chunks) {
      if (!named.contains({id, chunk}) && !IsPassedOver(chunk, /*with_power=*/true))
        return fmt::format("chunk {} is left on chunkserver {}, and nothing names it", chunk, id);
    }
  }
  return "";
}

// ---- inventories

void ModelChunks::NextReport(uint64_t server) {
  world_.At(world_.now() + world_.Between(0, report_max_), nullptr, [this, server] {
    servers_.at(server).deleted.clear();  // has reached the disk
    if (servers_.at(server).up) Report(server);
    NextReport(server);
  });
}

void ModelChunks::Report(uint64_t server) {
  pb::ReportChunksRequest request;
  request.set_volume(1);
  for (const auto& [chunk, version] : servers_.at(server).chunks) {
    auto* held = request.add_held();
    held->set_chunk(chunk);
    held->set_version(version);
  }
  const uint64_t id = servers_.at(server).id;
  const int times = !calm_ && world_.Chance(0.1) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    const bool late = !calm_ && world_.Chance(0.1);
    if (late) ++figures_->faults;
    // To whichever process is there by then.
    world_.At(world_.now() + (late ? world_.Between(0, kVeryLate) : Way()), nullptr, [=, this] {
      if (!meta_.up()) return;
      world_.At(world_.now(), meta_.process(), [=, this] { Compare(server, id, request); });
    });
  }
}

void ModelChunks::Compare(uint64_t server, uint64_t id, const pb::ReportChunksRequest& request) {
  const std::shared_ptr<Inventories> with = inventories_.lock();
  if (with == nullptr) return;
  ++figures_->calls;
  if (inventories_unsynced) meta_.SyncNothing(true);
  with->inventory.Answer(
      // By a number that it has no more it says nothing.
      [this, server, id] { return ServerId(servers_.at(server).id == id ? id : 0); }, request,
      [this, server](const Status& s, const pb::ReportChunksReply& reply) {
        if (!meta_.up()) return;
        if (inventories_unsynced) meta_.SyncNothing(false);
        if (!s.ok() || reply.garbage().empty()) return;
        TellGarbage(server, {reply.garbage().begin(), reply.garbage().end()}, "an inventory");
      });
}

}  // namespace kfs::sim
