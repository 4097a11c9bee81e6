#include "metaserver/hosting/mover.h"

#include <fmt/format.h>

#include "common/log.h"
#include "common/uuid.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/members/peer_ask.h"
#include "metaserver/members/resolve.h"
#include "metaserver/store/db.h"

namespace kfs::meta {
namespace {

constexpr uint64_t kLittle = 8u << 20;  // so much may be new when callers begin to wait
constexpr int kPassesMax = 6;
constexpr size_t kMovesMax = 2;
constexpr auto kCallOffEvery = std::chrono::seconds(2);

uint64_t SizeOf(FileOps& ops, const std::string& dir) {
  Result<std::vector<pb::ImageFile>> files = ListImage(ops, dir);
  uint64_t size = 0;
  if (files.ok()) {
    for (const pb::ImageFile& f : *files) size += f.size();
  }
  return size;
}

}  // namespace

struct Mover::Moving {
  VolumeId id;
  std::string name, target, address, transfer;
  uint64_t epoch = 0;
  pb::CommandContext ctx;
  Member::ChangeDone done;
  std::unique_ptr<ImageSender> sender;
  std::string checkpoint;  // the present one's directory
  int pass = 0;
  uint64_t total = 0;
  MonoTime began{}, held_at{};
  bool held = false;
};

Mover::Mover(Options options, FileOps& files, EventLoop& loop, Clock& clock, JobThread& jobs, Member& member,
             VolumeHost& volumes)
    : options_(std::move(options)),
      files_(files),
      loop_(loop),
      clock_(clock),
      jobs_(jobs),
      member_(member),
      volumes_(volumes) {}
Mover::~Mover() {
  lifetime_.End();
  // What a sender calls when it is done holds the move, which holds the sender.
  for (const auto& [id, m] : moving_) m->sender.reset();
}

void Mover::Start() { (void)files_.RemoveAll(Dir()); }

Status Mover::Check(const pb::VolumeConf& volume, const std::string& peer, const MovingPtr& m) const {
  const pb::ClusterConf& conf = member_.conf();
  Result<std::string> target = ResolvePeer(conf, peer);
  if (!target.ok()) return target.status();
  m->id = VolumeId(volume.id());
  m->name = volume.name();
  m->epoch = volume.epoch();
  m->target = *target;
  m->address = NameOf(conf, *target);
  if (*target == member_.uuid())
    return Status(EALREADY, fmt::format("{} serves volume \"{}\" already", m->address, volume.name()));
  if (const std::string progress = Progress(m->id); !progress.empty())
    return Status(EBUSY, fmt::format("volume \"{}\" is being moved {}", volume.name(), progress));
  if (moving_.size() >= kMovesMax)
    return Status(EBUSY, fmt::format("{} volumes are being moved from here: wait for them", moving_.size()));
  if (!volume.started()) return {};
  if (Status trouble = volumes_.Trouble(m->id); !trouble.ok()) return trouble;
  if (volumes_.OpenDb(m->id) == nullptr)
    return Status(EAGAIN, Code::kTryAgain, "the volume is being opened: try again");
  return {};
}

void Mover::Move(const pb::VolumeConf& volume, const pb::VolumeMoveRequest& request,
                 Member::ChangeDone done) {
  auto m = std::make_shared<Moving>();
  if (Status s = Check(volume, request.peer(), m); !s.ok()) return done(s, {});
  m->ctx = request.ctx();
  m->done = std::move(done);
  m->began = clock_.MonoNow();
  if (m->ctx.dry_run()) {
    m->transfer = kDryTransfer;
    return Decide(m);
  }
  m->transfer = NewUuid(loop_.entropy());
  if (volume.started()) {
    moving_[m->id] = m;
    return Ask(m);
  }
  volumes_.HoldStopped(member_.conf(), volume, member_.incarnation(), Handing(m),
                       lifetime_.While([this, m](Result<std::unique_ptr<Db>> db) {
                         if (!db.ok()) return m->done(db.status(), {});
                         // Closed again at once: what there is was looked at, and does not change any more.
                         db->reset();
                         m->held = true;
                         moving_[m->id] = m;
                         Ask(m);
                       }));
}

void Mover::Ask(const MovingPtr& m) {
  KFS_LOG(info, "volume.moving name={} id={} to={} transfer={}", m->name, m->id.v, m->address, m->transfer);
  AskPeer(
      loop_, m->address, member_.uuid(), member_.credentials(), lifetime_.While([this, m](PeerAnswer there) {
        if (!there.status.ok()) return Fail(m, there.status);
        if (there.reply.uuid() != m->target)
          return Fail(m, Status(EINVAL, fmt::format("another metaserver answers at {} (see: kfs peer why {})",
                                                    m->address, m->address)));
        m->sender = std::make_unique<ImageSender>(files_, loop_, jobs_, there.link, m->transfer,
                                                  options_.bytes_per_s);
        auto size = std::make_shared<uint64_t>(0);
        jobs_.Do(
            nullptr,
            [files = &files_, dir = volumes_.Path(m->id), size] {
              *size = SizeOf(*files, dir);
              return Status();
            },
            lifetime_.While([this, m, size](const Status&) {
              m->total = *size;
              BeginSending(m);
            }));
      }));
}

void Mover::BeginSending(const MovingPtr& m) {
  m->sender->Begin(m->id.v, m->total, lifetime_.While([this, m](const Status& s) {
    if (!s.ok())
      return Fail(m,
                  Status(s.err(), fmt::format("{} does not take the volume: {}", m->address, s.message())));
    if (m->held) {
      m->held_at = clock_.MonoNow();
      return SendLast(m);
    }
    SendTables(m);
  }));
}

void Mover::SendTables(const MovingPtr& m) {
  Db* db = volumes_.OpenDb(m->id);
  if (db == nullptr) return Fail(m, Status(ECANCELED, "the volume was closed meanwhile"));
  RemoveCheckpoint(m);
  m->checkpoint = fmt::format("{}/{}-{}", Dir(), m->transfer, m->pass);
  jobs_.Do(
      db,
      [db, files = &files_, root = Dir(), dir = m->checkpoint] {
        (void)files->MakeDirs(root);  // without it the copy fails
        return db->Checkpoint(dir);
      },
      lifetime_.While([this, m](const Status& made) {
        if (!made.ok()) return Fail(m, made);
        m->sender->SendTables(m->checkpoint, [this, m](const Status& s) {
          if (!s.ok()) return Fail(m, s);
          if (m->sender->last_pass() > kLittle && ++m->pass < kPassesMax) return SendTables(m);
          HandOver(m);
        });
      }));
}

void Mover::HandOver(const MovingPtr& m) {
  RemoveCheckpoint(m);
  const pb::VolumeConf* v = FindVolume(member_.conf(), m->name);
  if (v == nullptr || VolumeId(v->id()) != m->id || v->epoch() != m->epoch || !v->started() ||
      volumes_.OpenDb(m->id) == nullptr)
    return Fail(m, Status(ECANCELED, "the volume was stopped, deleted or moved meanwhile"));
  m->held = true;
  m->held_at = clock_.MonoNow();
  volumes_.Hold(m->id, Handing(m), lifetime_.While([this, m] { SendLast(m); }));
}

Status Mover::Handing(const MovingPtr& m) {
  return Status(EAGAIN, Code::kTryAgain,
                fmt::format("volume \"{}\" is being handed to {}", m->name, m->address));
}

void Mover::SendLast(const MovingPtr& m) {
  m->sender->SendAll(volumes_.Path(m->id), [this, m](const Status& s) {
    if (!s.ok()) return Fail(m, s);
    Finish(m);
  });
}

void Mover::Finish(const MovingPtr& m) {
  pb::ImageManifest about;
  about.set_cluster_id(member_.conf().cluster_id());
  about.set_volume(m->id.v);
  about.set_volume_name(m->name);
  about.set_epoch(m->epoch);
  m->sender->Finish(std::move(about), [this, m](const Status& s) {
    if (!s.ok()) return Fail(m, s);
    volumes_.Seal(m->id, m->transfer, m->epoch, lifetime_.While([this, m](const Status& sealed) {
      if (!sealed.ok()) return Fail(m, sealed);
      Decide(m);
    }));
  });
}

void Mover::Decide(const MovingPtr& m) {
  pb::Change change;
  pb::Change::MoveVolume* move = change.mutable_move_volume();
  move->set_name(m->name);
  move->set_owner(m->target);
  move->set_transfer(m->transfer);
  move->set_epoch(m->epoch);
  // The copying does not count: the change has its own time.
  m->ctx.set_timeout_ms(0);
  member_.Change(m->ctx, std::move(change),
                 lifetime_.While([this, m](const Status& s, const pb::ConfChangeReply& reply) {
                   if (m->ctx.dry_run()) return m->done(s, reply);
                   Decided(m, s, reply);
                 }));
}

void Mover::Decided(const MovingPtr& m, const Status& s, const pb::ConfChangeReply& reply) {
  if (s.ok()) {
    KFS_LOG(info, "volume.moved name={} id={} to={} bytes={} took_ms={} held_ms={} generation={}", m->name,
            m->id.v, m->address, m->sender->sent(),
            std::chrono::duration_cast<std::chrono::milliseconds>(clock_.MonoNow() - m->began).count(),
            std::chrono::duration_cast<std::chrono::milliseconds>(clock_.MonoNow() - m->held_at).count(),
            reply.generation());
    LetGo(m);  // removes what was here
    return End(m, s, reply);
  }
  if (s.code() == Code::kOutcomeUnknown) {
    KFS_LOG(warn, "volume.move_unknown name={} id={} reason=\"{}\" effect=\"calls wait until it is known\"",
            m->name, m->id.v, s.message());
    LetGo(m);  // sealed: it stays closed
    return End(m, s, reply);
  }
  volumes_.Unseal(m->id);
  Fail(m, s);
}

void Mover::LetGo(const MovingPtr& m) {
  volumes_.Unhold(m->id);
  (void)volumes_.Apply(member_.conf(), member_.uuid(), member_.incarnation());  // told by Trouble
}

void Mover::Fail(const MovingPtr& m, const Status& s) {
  KFS_LOG(warn, "volume.not_moved name={} id={} to={} reason=\"{}\"", m->name, m->id.v, m->address,
          s.message());
  if (m->sender != nullptr) {
    const uint64_t n = ++drops_;
    // The link lives until it is answered, and does not end within its own call.
    dropping_[n] = m->sender->Drop(
        lifetime_.While([this, n] { loop_.Post(lifetime_.While([this, n] { dropping_.erase(n); })); }));
  }
  if (m->held) LetGo(m);
  // A refusal by another member says so itself.
  const bool told = s.message().find("othing was changed") != std::string::npos;
  const Status words = told ? s
                            : Status(s.err() == 0 ? EIO : s.err(),
                                     fmt::format("volume \"{}\" was not moved to {}: {}. Nothing was changed",
                                                 m->name, m->address, s.message()));
  End(m, words, {});
}

void Mover::End(const MovingPtr& m, const Status& s, const pb::ConfChangeReply& reply) {
  RemoveCheckpoint(m);
  // Not within the sender's own call.
  loop_.Post([sender = std::shared_ptr<ImageSender>(std::move(m->sender))] {});
  moving_.erase(m->id);
  m->done(s, reply);
}

void Mover::RemoveCheckpoint(const MovingPtr& m) {
  if (m->checkpoint.empty()) return;
  jobs_.Do(
      nullptr,
      [files = &files_, dir = std::move(m->checkpoint)] {
        (void)files->RemoveAll(dir);  // what is left goes at the next start
        return Status();
      },
      [](const Status&) {});
  m->checkpoint.clear();
}

std::string Mover::Progress(VolumeId id) const {
  auto it = moving_.find(id);
  if (it == moving_.end()) return "";
  const Moving& m = *it->second;
  constexpr double kMiB = 1 << 20;
  return fmt::format("to {}, {:.1f} MiB of about {:.1f} MiB sent", m.address,
                     m.sender == nullptr ? 0.0 : static_cast<double>(m.sender->sent()) / kMiB,
                     static_cast<double>(m.total) / kMiB);
}

void Mover::OnTimer() {
  const MonoTime now = clock_.MonoNow();
  if (calling_off_ || now < next_call_off_) return;
  for (const pb::VolumeConf& v : member_.conf().volume()) {
    const VolumeId id(v.id());
    if (v.owner() != member_.uuid() || moving_.contains(id) || !volumes_.IsSealed(v)) continue;
    pb::Change change;
    pb::Change::MoveVolume* keep = change.mutable_move_volume();
    keep->set_name(v.name());
    keep->set_owner(v.owner());
    keep->set_epoch(v.epoch());
    pb::CommandContext ctx;
    ctx.set_words("volume move " + v.name() + " called off");
    calling_off_ = true;
    next_call_off_ = now + kCallOffEvery;
    KFS_LOG(info, "volume.move_called_off name={} id={}", v.name(), id.v);
    member_.Change(ctx, std::move(change),
                   lifetime_.While([this](const Status& s, const pb::ConfChangeReply&) {
                     calling_off_ = false;
                     if (!s.ok()) KFS_LOG(warn, "volume.call_off_failed reason=\"{}\"", s.message());
                   }));
    return;
  }
}

}  // namespace kfs::meta
