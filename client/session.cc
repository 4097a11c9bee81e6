#include "client/session.h"

#include <algorithm>
#include <tuple>

#include "common/limits.h"
#include "common/log.h"
#include "common/reached.h"

namespace kfs {

Session::Session(EventLoop& loop, Options options, SessionEnv& env)
    : loop_(loop), options_(std::move(options)), env_(&env), metaservers_(options_.metaservers) {}

void Session::Attach(const ConnectionPtr& connection, NetClient::ReadyFn ready) {
  auto a = std::make_shared<Attaching>();
  a->connection = connection;
  a->ready = std::move(ready);
  if (Status s = CheckCluster(); !s.ok()) return a->ready(s, false);
  Open(a);
}

void Session::Open(const std::shared_ptr<Attaching>& a) {
  pb::OpenSessionRequest request;
  request.set_volume(options_.volume);
  request.set_mountpoint(options_.mountpoint);
  request.set_path(options_.path);
  request.set_root(root_);
  request.set_counts_logged(true);
  if (synced_.sequence() != 0) *request.mutable_synced() = synced_;
  if (session_ != 0) {
    request.set_session(session_);
    request.set_key(key_);
  }
  a->connection->Call(Op::kOpenSession, request, {}, [weak = weak_from_this(), a](Answer answer) {
    if (auto self = weak.lock()) self->OnOpened(a, answer);
  });
}

void Session::OnOpened(const std::shared_ptr<Attaching>& a, const Answer& answer) {
  pb::OpenSessionReply reply;
  const Status status = ParseAnswer(answer, &reply);
  if (!status.ok()) return NotOpened(a, status);
  // One of an earlier version would show the whole volume instead.
  if (!options_.path.empty() && reply.root() == 0) {
    return NotOpened(a, Status(EPROTONOSUPPORT,
                               "the metaserver is of a version that cannot mount a directory by itself: "
                               "upgrade it, or mount the whole volume"));
  }
  const bool fresh = session_ == 0;
  const bool expired = !fresh && reply.expiries() != expiries_;
  expiries_ = reply.expiries();
  if (expired) HeldLost("the metaserver has not heard of this mount for too long");
  session_ = reply.session();
  key_ = reply.key();
  volume_ = reply.volume();
  root_ = reply.root() == kRootIno.v ? 0 : reply.root();
  chunk_size_ = reply.chunk_size();
  ttl_ = std::chrono::milliseconds(std::max<uint32_t>(reply.ttl_ms(), 300));
  TakeSynced(reply.synced());
  a->incarnation = reply.incarnation();
  a->generation = reply.generation();
  if (chunk_size_ == 0 || chunk_size_ % kBlockSize != 0) {
    return a->ready(Status(EPROTO, Code::kMalformed, "the metaserver named an impossible chunk size"), false);
  }
  // An expired session reclaims nothing, but says which pending releases count no more.
  if (fresh || (!expired && reply.incarnation() == incarnation_)) return Ready(a);
  a->reclaims = held_.Reclaims(kInventoryBatch);
  KFS_REACHED("session.reclaims");
  for (pb::ReclaimRequest& r : a->reclaims) r.set_op_ids(ids_.last());
  KFS_LOG(info, "session.reclaim session={} incarnation={} locks={} messages={}", session_, a->incarnation,
          held_.lock_count(), a->reclaims.size());
  Reclaim(a);
}

void Session::Reclaim(const std::shared_ptr<Attaching>& a) {
  if (a->next_reclaim == a->reclaims.size()) return Ready(a);
  const pb::ReclaimRequest& request = a->reclaims[a->next_reclaim++];
  a->connection->Call(Op::kReclaim, request, {}, [weak = weak_from_this(), a](Answer answer) {
    auto self = weak.lock();
    if (self == nullptr) return;
    pb::ReclaimReply reply;
    if (Status status = ParseAnswer(answer, &reply); !status.ok()) return a->ready(status, false);
    for (uint64_t ino : reply.lost()) {
      KFS_LOG(error, "session.open_lost session={} ino={} reason=\"the inode no longer exists\"",
              self->session_, ino);
      self->held_.Vanished(Ino(ino));
    }
    if (reply.has_known()) {
      if (const KnownOps known(reply); self->changes_.Missing(known) != 0) self->ChangesLost(known);
    }
    self->Reclaim(a);
  });
}

void Session::Ready(const std::shared_ptr<Attaching>& a) {
  incarnation_ = a->incarnation;
  ++attaches_;
  other_cluster_.clear();
  another_at_owner_ = false;
  if (const auto net = net_.lock(); net != nullptr && cluster_.empty()) cluster_ = net->server_cluster_id();
  metaservers_.IsThere();
  if (!stopped_.ok()) KFS_LOG(info, "session.volume_started volume={} session={}", options_.volume, session_);
  stopped_ = Status();
  KFS_LOG(debug, "session.attached session={} incarnation={} attaches={}", session_, incarnation_, attaches_);
  keep_alive_ = loop_.RunEvery(ttl_ / 3, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->SendKeepAlive();
  });
  if (env_ != nullptr) env_->Attached();
  a->ready(Status(), false);
  NoteGeneration(a->generation);
}

void Session::FillAccess(const ChunkPlace& place, const ChunkReplica& replica,
                         pb::ChunkAccess* access) const {
  access->set_session(session_);
  access->set_rights(place.rights);
  access->set_mac(replica.mac);
  if (auto it = tickets_.find(replica.server); it != tickets_.end()) *access->mutable_ticket() = it->second;
}

void Session::TakeTickets(const google::protobuf::RepeatedPtrField<pb::ServerTicket>& tickets) {
  for (const pb::ServerTicket& t : tickets) tickets_[t.server()] = t.ticket();
}

void Session::TakeSynced(const pb::SyncPoint& told) {
  if (std::tuple(told.line(), told.sequence()) > std::tuple(synced_.line(), synced_.sequence()))
    synced_ = told;
}

void Session::ChangesLost(const KnownOps& known) {
  KFS_REACHED("session.changes_lost");
  KFS_LOG(error,
          "session.changes_lost session={} volume={} changes={} known={} answered={} reason=\"the metaserver "
          "has lost what "
          "it had not made durable yet\" effect=\"fsync of what was changed fails with EIO\"",
          session_, options_.volume, changes_.Missing(known), known.highest, changes_.made());
  held_.ChangesLost(changes_.Lost(known), loop_.Now());
}

void Session::HeldLost(const std::string& why) {
  KFS_REACHED("session.held_lost");
  KFS_LOG(
      error,
      "session.held_lost session={} volume={} locks={} reason=\"{}\" effect=\"all open files and locks of "
      "this mount are lost; calls on them fail with EIO until they are closed\"",
      session_, options_.volume, held_.lock_count(), why);
  held_.SessionLost();
  if (env_ != nullptr) env_->HandlesLost();
}

void Session::Lost(const Status& why) {
  KFS_REACHED("session.lost");
  HeldLost(why.ToString());
  // The metaserver may have lost it, with all that was done in it.
  if (changes_.made() != 0) held_.ChangesLost({}, loop_.Now());
  changes_ = RecentChanges();
  session_ = 0;
  tickets_.clear();
  key_.clear();
  if (env_ != nullptr) env_->MutationsLost();
}

void Session::KeepAlive(std::shared_ptr<NetClient> net) { net_ = net; }

void Session::Refused(const Status& why) {
  const auto self = shared_from_this();
  if (why.code() == Code::kStopped) Stopped(why);
  if (auto net = net_.lock()) net->Reconnect(why);
}

void Session::Stop() {
  keep_alive_.Cancel();
  env_ = nullptr;
}

// So often the metaserver is told which answers it may forget, when an old op is still waiting for its own
// (it keeps kRepliesKeptMax at most), and of so many waiting ops at once.
constexpr uint64_t kTellEvery = 8192;
constexpr uint64_t kPendingToldMax = 16384;

void Session::IdGiven(uint64_t id) {
  // A waiting op holds the watermark down; the metaserver must not run out of room for answers meanwhile.
  if (id % kTellEvery == 0 && ids_.last() - ids_.acked() > kTellEvery) SendKeepAlive();
}

void Session::CallEnded(Duration took) {
  ++calls_.count;
  calls_.took += took;
  calls_.slowest = std::max(calls_.slowest, took);
}

void Session::SendKeepAlive() {
  auto net = net_.lock();
  if (net == nullptr || keep_alive_pending_ || !net->connected()) return;
  keep_alive_pending_ = true;
  pb::KeepAliveRequest request;
  request.set_acked(ids_.acked());
  if (ids_.last() > ids_.acked() && ids_.unanswered() <= kPendingToldMax) {
    request.set_last(ids_.last());
    for (uint64_t id : ids_.Unanswered()) request.add_pending(id);
  }
  const auto micros = [](Duration d) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
  };
  request.set_calls(calls_.count);
  request.set_calls_micros(micros(calls_.took));
  // One that hangs has not ended and perhaps never will: it counts for as long as it has waited.
  const Duration oldest = env_ != nullptr ? env_->OldestCall() : Duration::zero();
  request.set_slowest_micros(micros(std::max(calls_.slowest, oldest)));
  calls_ = Calls{};
  net->Enqueue({.op = Op::kKeepAlive,
                .request = &request,
                .payload = {},
                .timeout = {},
                .resend = false,
                .done = [weak = weak_from_this()](Answer answer) {
                  auto self = weak.lock();
                  if (self == nullptr) return;
                  self->keep_alive_pending_ = false;
                  pb::KeepAliveReply reply;
                  const Status status = ParseAnswer(answer, &reply);
                  if (status.ok()) {
                    self->TakeTickets(reply.ticket());
                    self->TakeSynced(reply.synced());
                    return self->NoteGeneration(reply.generation());
                  }
                  const Code code = status.code();
                  if (code == Code::kUnknownSession || code == Code::kNotOwner || code == Code::kStopped)
                    self->Refused(status);
                }});
}

}  // namespace kfs
