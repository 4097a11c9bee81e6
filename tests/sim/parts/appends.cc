// Appends: turns, tokens and versions, in the executor, against chunks that take what has the right version.
// Programs append at the same time; some are slow to send their data or to commit it, lose their connection
// or their turn meanwhile, or give up, while what they sent comes late all the same.
//
// In the end the file is the appends that were answered, each whole, one behind the other.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/log.h"
#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "tests/sim/parts/direct_call.h"
#include "tests/sim/parts/memory_db.h"
#include "tests/sim/parts/part.h"
#include "tests/sim/parts/parts_env.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kAppendChunk = 8192;
constexpr int kAppenders = 4, kAppendsEach = 5;
constexpr Nanos kAppendTick = 200 * kMilli;

class WorldClock : public Clock {
 public:
  explicit WorldClock(const World& world) : world_(world) {}
  TimeNs WallNow() const override { return 1000000000ll * 1000000000 + world_.now(); }
  MonoTime MonoNow() const override { return MonoTime(std::chrono::hours(1)) + Duration(world_.now()); }

 private:
  const World& world_;
};

class WorldEntropy : public Entropy {
 public:
  explicit WorldEntropy(World& world) : world_(world) {}
  void Fill(char* to, size_t size) override {
    for (size_t i = 0; i < size; ++i) to[i] = static_cast<char>(world_.Draw());
  }

 private:
  World& world_;
};

class AppendsRun {
 public:
  explicit AppendsRun(const PartPlan& plan) : plan_(plan), world_(plan.seed) {}

  PartFigures Go() {
    if (!SetUp()) return figures_;
    for (int i = 0; i < kAppenders; ++i) {
      appenders_.push_back({.session = OpenSession()});
      appenders_.back().session->volume->open_files.Add(*appenders_.back().session, file_,
                                                        kReadChunk | kWriteChunk);
      world_.At(world_.now() + world_.Between(0, 50 * kMilli), nullptr, [this, i] { Prepare(i); });
    }
    Timer();
    const bool ended = world_.RunUntil(
        [this] { return std::ranges::all_of(appenders_, [](const Appender& a) { return a.left == 0; }); },
        900 * kSecond);
    if (!ended) figures_.Wrong("appends hang");
    world_.RunUntil(world_.now() + 30 * kSecond);  // what is late comes
    if (figures_.ok) Judge();
    figures_.hash = world_.Hash();
    figures_.virtual_time = world_.now();
    return figures_;
  }

 private:
  struct Appender {
    meta::SessionPtr session;
    int left = kAppendsEach;
    uint64_t op_id = 0;
    uint64_t length = 0;
    char byte = 0;
    pb::LayoutReply layout;
    bool stale = false;  // some of its data was refused
  };
  struct StoredChunk {
    uint64_t version = 0;
    std::string content;
  };
  struct Appended {
    uint64_t offset = 0, length = 0;
    char byte = 0;
  };
  class Links final : public meta::ChunkserverLinks {
   public:
    explicit Links(AppendsRun& run) : run_(run) {}
    bool IsUp(const meta::Chunkserver&) const override { return true; }
    void Request(const meta::Chunkserver&, Op op, const google::protobuf::MessageLite& request,
                 Done done) override {
      run_.AtChunkserver(op, request, std::move(done));
    }

   private:
    AppendsRun& run_;
  };
  class Env final : public PartsEnv {
   public:
    explicit Env(AppendsRun& run) : run_(run) {}
    void ScheduleTick() override {
      run_.world_.At(run_.world_.now(), nullptr, [this] { run_.executor_->EndTick(); });
    }
    void ScheduleNextTick() override {
      run_.world_.At(run_.world_.now(), nullptr, [this] { run_.executor_->NextTick(); });
    }

   private:
    AppendsRun& run_;
  };

  bool SetUp() {
    using namespace meta;
    memory_ = std::make_unique<DbMemory>(0, disks_.Env());
    auto cluster = Db::Open("/cluster", "cluster", *memory_);
    cluster_ = std::move(*cluster);
    servers_ = std::make_unique<Chunkservers>(*cluster_, clock_, entropy_, std::make_unique<Links>(*this));
    bool ok = servers_->Load().ok();
    pb::ClusterConf conf;
    conf.add_chunkserver()->set_id(1);
    conf.mutable_chunkserver(0)->set_uuid("chunkserver-1");
    servers_->Configure(conf);
    pb::RegisterChunkserverRequest r;
    r.set_uuid("chunkserver-1");
    r.set_address("10.0.0.2:1");
    r.add_disk()->set_capacity(1ull << 40);
    r.mutable_disk(0)->set_available(1ull << 39);
    servers_->Register(r, nullptr, [&ok](const Result<ServerId>& id) { ok = ok && id.ok(); });
    executor_ = std::make_unique<Executor>(clock_, ExecutorOptions{.entropy = &entropy_}, nullptr, env_);
    rec::Volume info;
    info.set_id(1);
    info.set_name("v");
    info.set_chunk_size(kAppendChunk);
    info.set_replicas(1);
    auto db = Db::Open("/volume", "volume", *memory_);
    auto volume = Volume::Open(info, std::move(*db), 1 << 20, *servers_, clock_, executor_->volume_env(),
                               executor_->DrawVolumeSeed());
    ok = ok && volume.ok();
    if (!ok) {
      figures_.Wrong("the volume does not open");
      return false;
    }
    executor_->AddVolume(std::move(*volume));
    appenders_.push_back({.session = OpenSession()});
    pb::MknodRequest make;
    make.set_parent(1);
    make.set_name("f");
    make.set_mode(S_IFREG | 0644);
    Ask<rpc::Mknod>(0, make, [this](const Status&, const auto& reply) { file_ = Ino(reply.attr().ino()); });
    world_.RunUntil([this] { return file_.v != 0; }, kSecond);
    appenders_.clear();
    if (file_.v == 0) figures_.Wrong("the file is not made");
    return file_.v != 0;
  }

  meta::SessionPtr OpenSession() {
    pb::OpenSessionRequest request;
    request.set_volume("v");
    request.set_counts_logged(true);
    auto call = std::make_shared<DirectCall>(Op::kOpenSession, "", [](const Status&, std::string_view) {});
    return executor_->OpenSession(call, request, "host", "client");
  }

  template <typename Rpc, typename Fn>
  void Ask(int who, typename Rpc::Request request, Fn fn) {
    Appender& a = appenders_[static_cast<size_t>(who)];
    if (Rpc::kMutates) request.mutable_ctx()->set_op_id(++a.op_id);
    auto call = std::make_shared<DirectCall>(
        Rpc::kOp, request.SerializeAsString(), [this, fn](const Status& s, std::string_view body) {
          world_.Note(static_cast<uint64_t>(s.err()));
          typename Rpc::Reply reply;
          (void)reply.ParseFromArray(body.data(), static_cast<int>(body.size()));
          // Through the network, so to say.
          world_.At(world_.now() + world_.Between(0, kMilli), nullptr, [fn, s, reply] { fn(s, reply); });
        });
    call->session = a.session;
    call->connection = a.session->lane(0).connection_number;
    executor_->Execute(call);
  }

  void Timer() {
    world_.At(world_.now() + kAppendTick, nullptr, [this] {
      for (Appender& a : appenders_) a.session->last_heard = clock_.MonoNow();
      executor_->OnTimer();
      Timer();
    });
  }

  // ---- one append
  void Prepare(int who) {
    Appender& a = appenders_[static_cast<size_t>(who)];
    if (a.left == 0) return;
    a.length = static_cast<uint64_t>(world_.Between(1, 3000));
    a.byte = static_cast<char>(1 + ++last_byte_ % 255);
    a.stale = false;
    ++figures_.calls;
    pb::PrepareWriteRequest request;
    request.set_ino(file_.v);
    request.set_length(a.length);
    request.set_append(true);
    Ask<rpc::PrepareWrite>(who, request, [this, who](const Status& s, const auto& reply) {
      if (!s.ok()) return Again(who, s);
      appenders_[static_cast<size_t>(who)].layout = reply;
      Send(who);
    });
  }
  // How long something takes, now and then so long that the turn is over.
  Nanos Pause() {
    if (plan_.quiet || world_.Chance(0.7)) return world_.Between(0, 2 * kMilli);
    ++figures_.faults;
    return world_.Between(0, world_.Chance(0.5) ? kSecond : 14 * kSecond);
  }
  void Send(int who) {
    Appender& a = appenders_[static_cast<size_t>(who)];
    KFS_LOG(debug, "part.sends at={} who={} byte={} offset={} size={}", world_.now(), who, a.byte,
            a.layout.offset(), a.length);
    Nanos last = 0;
    for (const auto& c : a.layout.chunk()) {
      const Nanos pause = Pause();
      last = std::max(last, pause);
      const uint64_t begin = c.index() * kAppendChunk;
      const uint64_t from = std::max(begin, a.layout.offset()),
                     to = std::min(begin + kAppendChunk, a.layout.offset() + a.length);
      world_.At(world_.now() + pause, nullptr,
                [this, who, chunk = c.chunk(), version = c.version(), at = from - begin, size = to - from,
                 byte = a.byte] {
                  if (!Land(chunk, version, at, std::string(size, byte)) &&
                      appenders_[static_cast<size_t>(who)].byte == byte)
                    appenders_[static_cast<size_t>(who)].stale = true;
                });
    }
    if (!plan_.quiet && world_.Chance(0.15)) {
      // It goes before its data has come: the connection is lost, or it gives up.
      ++figures_.faults;
      const bool lost = world_.Chance(0.5);
      world_.At(world_.now() + world_.Between(0, 2 * kMilli), nullptr,
                [this, who, lost] { lost ? LoseConnection(who) : GiveUp(who); });
      return;
    }
    world_.At(world_.now() + last + Pause(), nullptr, [this, who] { Commit(who); });
  }
  bool Land(uint64_t chunk, uint64_t version, uint64_t at, const std::string& data) {
    StoredChunk& stored = chunks_[chunk];
    if (stored.version == 0) stored.version = version;
    if (stored.version != version && plan_.planted != 1) return false;
    if (stored.content.size() < at + data.size()) stored.content.resize(at + data.size(), '\0');
    stored.content.replace(at, data.size(), data);
    return true;
  }
  void Commit(int who) {
    Appender& a = appenders_[static_cast<size_t>(who)];
    if (a.stale) return GiveUp(who);
    pb::CommitWriteRequest request;
    request.set_ino(file_.v);
    request.set_offset(a.layout.offset());
    request.set_length(a.length);
    request.set_append_token(a.layout.append_token());
    for (const auto& c : a.layout.chunk()) {
      auto* w = request.add_written();
      w->set_index(c.index());
      w->set_chunk(c.chunk());
      w->set_version(c.version());
      w->set_allocated(4096);
    }
    Ask<rpc::CommitWrite>(who, request, [this, who](const Status& s, const auto&) {
      if (!s.ok()) return Again(who, s);
      Appender& mine = appenders_[static_cast<size_t>(who)];
      appended_.push_back({mine.layout.offset(), mine.length, mine.byte});
      --mine.left;
      Prepare(who);
    });
  }
  void GiveUp(int who) {
    pb::AbortAppendRequest request;
    request.set_ino(file_.v);
    request.set_append_token(appenders_[static_cast<size_t>(who)].layout.append_token());
    Ask<rpc::AbortAppend>(who, request, [this, who](const Status&, const auto&) { Prepare(who); });
  }
  void LoseConnection(int who) {
    meta::SessionPtr session = appenders_[static_cast<size_t>(who)].session;
    executor_->Disconnected(*session, 0, session->lane(0).connection_number);
    pb::OpenSessionRequest request;
    request.set_volume("v");
    request.set_counts_logged(true);
    request.set_session(session->id.v);
    request.set_key(session->key);
    auto call = std::make_shared<DirectCall>(Op::kOpenSession, "", [](const Status&, std::string_view) {});
    if (executor_->OpenSession(call, request, "host", "client") != session)
      return figures_.Wrong("the session cannot be attached again");
    Prepare(who);
  }
  void Again(int who, const Status& s) {
    if (s.code() != Code::kStaleChunk && s.code() != Code::kTryAgain)
      return figures_.Wrong(fmt::format("an append ends with {}", s.ToString()));
    world_.At(world_.now() + world_.Between(0, 20 * kMilli), nullptr, [this, who] { Prepare(who); });
  }

  // What the metaserver orders, a while later.
  void AtChunkserver(Op op, const google::protobuf::MessageLite& m,
                     std::function<void(Status, std::string)> done) {
    if (op != Op::kMutateChunk) {
      world_.At(world_.now() + kMilli, nullptr, [done] { done(Status(), ""); });
      return;
    }
    const auto& order = static_cast<const pb::MutateChunkRequest&>(m);
    const Nanos when = world_.now() + world_.Between(0, 5 * kMilli);
    if (plan_.planted == 2) world_.At(world_.now(), nullptr, [done] { done(Status(), Carried()); });
    world_.At(plan_.planted == 2 ? when + 15 * kSecond : when, nullptr, [this, order, done] {
      StoredChunk& stored = chunks_[order.chunk()];
      stored.version = std::max(stored.version, order.to());
      for (const auto& step : order.step()) {
        if (step.kind() == pb::ChunkStep::TRUNCATE)
          stored.content.resize(std::min<size_t>(stored.content.size(), step.offset()));
      }
      if (plan_.planted != 2) done(Status(), Carried());
    });
  }
  static std::string Carried() {
    pb::MutateChunkReply reply;
    reply.set_allocated(4096);
    return reply.SerializeAsString();
  }

  void Judge() {
    pb::ReadLayoutRequest request;
    request.set_ino(file_.v);
    request.set_length(UINT64_MAX);
    pb::LayoutReply layout;
    bool answered = false;
    Ask<rpc::ReadLayout>(0, request, [&](const Status& s, const auto& reply) {
      answered = s.ok();
      layout = reply;
    });
    world_.RunUntil([&] { return answered; }, kSecond);
    std::string content(layout.size(), '\0');
    for (const auto& c : layout.chunk()) {
      const StoredChunk& stored = chunks_[c.chunk()];
      if (stored.version != c.version())
        figures_.Wrong(
            fmt::format("chunk {} is at {}, its layout says {}", c.chunk(), stored.version, c.version()));
      const uint64_t begin = c.index() * kAppendChunk;
      for (uint64_t i = 0; i < stored.content.size() && begin + i < content.size(); ++i)
        content[begin + i] = stored.content[i];
    }
    std::ranges::sort(appended_, {}, &Appended::offset);
    uint64_t end = 0;
    for (const Appended& a : appended_) {
      if (a.offset != end)
        return figures_.Wrong(
            fmt::format("an append lies at {}, the one before it ends at {}", a.offset, end));
      end = a.offset + a.length;
      if (content.compare(a.offset, a.length, std::string(a.length, a.byte)) != 0)
        return figures_.Wrong(fmt::format("the append at {} of {} bytes {} is not there whole", a.offset,
                                          a.length, static_cast<int>(a.byte)));
    }
    if (end != layout.size())
      figures_.Wrong(fmt::format("the file has {} bytes, {} were appended", layout.size(), end));
  }

  const PartPlan plan_;
  World world_;
  WorldClock clock_{world_};
  WorldEntropy entropy_{world_};
  MemoryDisks disks_;
  std::unique_ptr<meta::DbMemory> memory_;
  std::unique_ptr<meta::Db> cluster_;
  std::unique_ptr<meta::Chunkservers> servers_;
  Env env_{*this};
  std::unique_ptr<meta::Executor> executor_;
  Ino file_;
  std::vector<Appender> appenders_;
  std::map<uint64_t, StoredChunk> chunks_;
  std::vector<Appended> appended_;
  uint64_t last_byte_ = 0;
  PartFigures figures_;
};

}  // namespace

PartFigures RunAppends(const PartPlan& plan) { return AppendsRun(plan).Go(); }

}  // namespace kfs::sim
