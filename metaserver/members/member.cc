#include "metaserver/members/member.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"
#include "common/utf8.h"
#include "common/uuid.h"
#include "metaserver/chunks/disk_sums.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/members/asking.h"

namespace kfs::meta {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr auto kTimeoutMax = std::chrono::minutes(10);

Command CommandOf(const pb::CommandContext& ctx) {
  Command command;
  command.words = Printable(ctx.words(), kCommandMax);
  command.id = ctx.request_id();
  command.dry_run = ctx.dry_run();
  if (ctx.timeout_ms() != 0)
    command.timeout = std::min<Duration>(std::chrono::milliseconds(ctx.timeout_ms()), kTimeoutMax);
  return command;
}

bool SameMember(const pb::ClusterConf& before, const pb::ClusterConf& after, const std::string& uuid) {
  const pb::MemberConf *then = FindMember(before, uuid), *now = FindMember(after, uuid);
  return then != nullptr && now != nullptr && then->incarnation() == now->incarnation();
}

Status StatusOf(const Outcome& outcome) {
  if (outcome.kind == Outcome::kUnknown)
    return Status(ETIMEDOUT, Code::kOutcomeUnknown, outcome.status.message());
  return outcome.status;
}

}  // namespace

Member::Member(EventLoop& loop, Clock& clock, MemberDb& db, Credentials credentials, TestStop test_stop,
               std::shared_ptr<Dispatcher> dispatcher, std::shared_ptr<SeenPeers> seen)
    : loop_(loop),
      clock_(clock),
      db_(db),
      credentials_(std::move(credentials)),
      seen_(std::move(seen)),
      dispatcher_(std::move(dispatcher)),
      random_(loop.entropy().Next()),
      test_stop_(std::move(test_stop)) {
  Begin();
}

Member::~Member() { Stop(); }

void Member::Begin() {
  links_ = std::make_unique<PeerLinks>(loop_, clock_, credentials_, seen_, dispatcher_);
  node_ = std::make_unique<ClusterNode>(*this, db_);
  node_->acceptor().OnLearned([this](const pb::ClusterConf& before) { OnLearned(before); });
}

void Member::Start() {
  started_ = true;
  ConfigureLinks();
  timer_ = loop_.RunEvery(kTick, [this] {
    node_->OnTimer();
    ConfigureLinks();  // also to those that have been detached and do not know it yet
  });
}

void Member::Stop() {
  started_ = false;
  timer_.Cancel();
  links_.reset();
}

void Member::ConfigureLinks() {
  if (node_->acceptor().waiting() != 0) return;  // whom it has to talk to is not settled yet
  std::map<std::string, std::string> peers;
  for (const PeerView& p : node_->Peers()) peers[p.uuid] = p.address;
  links_->Configure(conf().cluster_id(), uuid(), peers);
}

std::string Member::checksum() const { return Checksum(conf()); }

std::string Member::address() const {
  const pb::MemberConf* self = FindMember(conf(), uuid());
  return self == nullptr ? "" : self->address();
}

bool Member::InTouch() const {
  if (links_ == nullptr || FindMember(conf(), uuid()) == nullptr) return false;
  // Links are kept for a while to those that were detached: they are not counted.
  size_t heard = 1;
  for (const pb::MemberConf& m : conf().member()) heard += links_->Connected(m.uuid()) ? 1 : 0;
  return heard >= Majority(conf());
}

Status Member::UnlessOld(const Status& s) const {
  if (InTouch()) return s;
  std::string why = "this metaserver does not hear from most of the others (kfs peer status)";
  if (FindMember(conf(), uuid()) == nullptr) {
    std::string others;
    for (const pb::MemberConf& m : conf().member()) others += (others.empty() ? "" : ", ") + m.address();
    why = "this metaserver was detached from the cluster, ask " + others;
  }
  return Status(EAGAIN, Code::kTryAgain, fmt::format("{}; this may be old: {}", s.message(), why));
}

void Member::OnLearned(const pb::ClusterConf& before) { env_->ConfigurationChanged(before); }

void Member::OnMessage(const pb::PeerMessage& message, const ConnectionPtr& connection) {
  // Those that we have made have told no id.
  if (links_ != nullptr && connection->hello.id() == message.from())
    links_->CameBy(message.from(), connection);
  if (message.cluster_id() == conf().cluster_id() && FindMember(conf(), message.from()) != nullptr)
    env_->HeardSyncPoints(message.synced());
  if (message.body_case() == pb::PeerMessage::BODY_NOT_SET) return;
  test_stop_.At("receive", message);
  node_->OnMessage(message);
  WhenDurable([this, message] { test_stop_.At("done", message); });
}

void Member::Adopt(const pb::PeerAdoptRequest& request, std::function<void()> done) {
  pb::MemberRecord record;
  record.set_uuid(request.uuid());
  record.set_incarnation(request.incarnation());
  *record.mutable_conf() = request.conf();
  Begin();
  node_->acceptor().Become(record);
  WhenDurable([this, done = std::move(done)] {
    KFS_LOG(info, "cluster.joined cluster={} generation={} members={}", conf().cluster_id(),
            conf().generation(), conf().member_size());
    done();
  });
}

// ---- commands

void Member::Change(const pb::CommandContext& ctx, pb::Change change, ChangeDone done) {
  if (Status s = ResolveChange(conf(), env_->AddressesOfChunkservers(), env_->DefaultsOfVolumes(), &change);
      !s.ok()) {
    // What it knows may be old, and is not what keeps the change from being made.
    if (!InTouch() && FindMember(conf(), uuid()) != nullptr && !change.has_give_up_members())
      s = Status(EHOSTUNREACH,
                 fmt::format("most of the metaservers are out of reach from here, so that nothing "
                             "can be changed (kfs peer status); as far as this one knows, "
                             "besides: {}",
                             s.message()));
    return done(s, {});
  }
  if (change.what_case() == pb::Change::kRevert) {
    const uint64_t wanted = change.revert().to().generation();
    std::optional<pb::ClusterConf> then = db_.At(wanted);
    if (!then) {
      return done(
          Status(ENOENT, fmt::format("generation {} is not kept here (see: kfs cluster log)", wanted)), {});
    }
    *change.mutable_revert()->mutable_to() = std::move(*then);
  }
  change.set_time(clock_.WallNow());
  change.set_originator(uuid());
  Command command = CommandOf(ctx);
  command.change = std::move(change);
  node_->Submit(
      std::move(command), [this, dry_run = ctx.dry_run(), done = std::move(done)](const Outcome& outcome) {
        pb::ConfChangeReply reply;
        reply.set_generation(outcome.generation);
        for (const std::string& line : outcome.preview) reply.add_difference(line);
        std::vector<std::string> missing(outcome.unreachable.begin(), outcome.unreachable.end());
        if (outcome.kind == Outcome::kDone) {
          const auto after = db_.At(outcome.generation);
          const auto before = after ? db_.At(Before(*after)) : after;
          if (before && after) {
            // Whom the change itself adds, admits again or detaches hears of it afterwards: nobody was
            // missed.
            std::erase_if(missing, [&](const std::string& u) { return !SameMember(*before, *after, u); });
            for (const std::string& line : Differences(*before, *after)) reply.add_difference(line);
          }
        } else {
          reply.set_dry_run(outcome.status.ok());
        }
        for (const std::string& u : missing) {
          const auto apart = outcome.apart.find(u);
          reply.add_unreachable(apart == outcome.apart.end()
                                    ? Absent(u)
                                    : fmt::format("{} ({})", NameOf(conf(), u), apart->second));
        }
        if (outcome.status.code() == Code::kAlreadySo) {
          // A majority has said so under the lock: a script may ask for the same twice.
          reply.set_generation(conf().generation());
          reply.set_dry_run(dry_run);
          return done({}, reply);
        }
        done(StatusOf(outcome), reply);
      });
}

std::optional<pb::ConfChangeReply> Member::Made(const std::string& id) const {
  const auto& recent = conf().recent();
  if (id.empty() || std::find(recent.begin(), recent.end(), id) == recent.end()) return {};
  pb::ConfChangeReply reply;
  reply.set_generation(conf().generation());
  for (std::optional<pb::ClusterConf> after = conf(); after;) {
    const std::optional<pb::ClusterConf> before = db_.NewestUpTo(Before(*after));
    if (after->transaction() == id) {
      reply.set_generation(after->generation());
      if (before && before->generation() == Before(*after)) {
        for (const std::string& line : Differences(*before, *after)) reply.add_difference(line);
      }
      break;
    }
    const auto& older = before ? before->recent() : recent;
    after = std::find(older.begin(), older.end(), id) != older.end() ? before : std::nullopt;
  }
  return reply;
}

void Member::ReadStatus(const pb::CommandContext& ctx, StatusDone done) {
  Command command = CommandOf(ctx);
  command.read = true;
  auto id = std::make_shared<std::string>();
  *id = node_->Submit(std::move(command), [this, id, done = std::move(done)](const Outcome& outcome) {
    pb::VolumeStatusReply reply;
    reply.set_generation(conf().generation());
    reply.set_transaction(*id);
    for (const auto& [u, bytes] : outcome.reports) {
      pb::MemberReport report;
      if (report.ParseFromString(bytes)) (*reply.mutable_report())[NameOf(conf(), u)] = std::move(report);
    }
    for (const std::string& u : outcome.unreachable) reply.add_unreachable(Absent(u));
    Shorten(&reply);
    done(reply);
  });
}

int64_t Member::WallOf(MonoTime at) const {
  if (at == MonoTime{}) return 0;
  return clock_.WallNow() -
         std::chrono::duration_cast<std::chrono::nanoseconds>(clock_.MonoNow() - at).count();
}

std::string Member::Absent(const std::string& u) const {
  const std::string name = NameOf(conf(), u);
  if (links_ == nullptr) return name;
  const PeerLinks::View view = links_->Of(u);
  if (view.since == 0) return name;
  const std::time_t seconds = view.since / 1000000000;
  return view.connected ? fmt::format("{} (connected, but does not answer)", name)
                        : fmt::format("{} (since {:%F %T})", name, fmt::localtime(seconds));
}

// ---- what the state machines ask for

MonoTime Member::Now() const { return clock_.MonoNow(); }
uint64_t Member::Random() { return random_(); }
std::string Member::NewTransactionId() { return NewUuid(loop_.entropy()); }
void Member::Send(const std::string& u, const pb::PeerMessage& message) {
  test_stop_.At("send", message);
  if (links_ != nullptr) links_->Send(u, message);
}
bool Member::Reachable(const std::string& u) const { return links_ != nullptr && links_->Connected(u); }
Status Member::Validate(const pb::Change& change, const pb::ClusterConf& next) {
  for (const std::string& u : change.give_up_members().uuid()) {
    if (Reachable(u))
      return Status(EBUSY,
                    fmt::format("{} is not lost, it is connected: detach it without --lost, once it owns "
                                "no volume any more",
                                NameOf(conf(), u)));
  }
  return env_->Validate(change, next);
}

void Member::Bricks(const pb::ClusterConf& next, const pb::Ballot& ballot, bool read,
                    std::function<void(Status, std::string report)> done) {
  if (!read) {
    return env_->Prepare(next, ballot, [done = std::move(done)](const Status& s) { done(s, ""); });
  }
  env_->Report(
      [done = std::move(done)](const pb::MemberReport& report) { done({}, report.SerializeAsString()); });
}

}  // namespace kfs::meta
