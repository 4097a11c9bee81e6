#include "cli/admin_connection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/change.h"
#include "common/credentials.h"
#include "common/key_advice.h"
#include "common/uuid.h"
#include "rpc/local_socket.h"

namespace kfs::cli {
namespace {

using std::chrono::milliseconds;

// A server that is just being restarted refuses connections for a moment; longer than this it is not there.
constexpr Duration kRefusedGrace = milliseconds(500);
// An answer that the member gives up on at its time-out still has to travel.
constexpr Duration kLonger = milliseconds(500);
// With several members one that does not greet us gets its share of the time, but no less than this.
constexpr Duration kShareMin = milliseconds(200);
constexpr Duration kForEver = std::chrono::hours(24);

}  // namespace

// Everything here belongs to the loop's thread.
struct AdminConnection::Link : std::enable_shared_from_this<Link> {
  Link(EventLoop& l, NetClient::Options o) : loop(l), options(std::move(o)) {}

  // NetClient would go on to another address by itself; which member is asked is decided above.
  void Use(const std::string& address) {
    if (client != nullptr && address == options.addresses.front()) return;
    options.addresses = {address};
    client = std::make_unique<NetClient>(loop, options);
  }

  void Call(Op op, const google::protobuf::MessageLite& request, Slices payload, Duration timeout,
            Duration grace, std::function<void(Answer, bool here)> on_answer) {
    done = std::move(on_answer);
    first_trouble.reset();
    const uint64_t reconnects = client->reconnects();
    id = client->Enqueue({.op = op,
                          .request = &request,
                          .payload = std::move(payload),
                          .timeout = {},
                          .resend = true,
                          .done = [this, reconnects](Answer answer) {
                            sent_again = client->reconnects() != reconnects;
                            Finish(std::move(answer), !client->connected());
                          }});
    late = loop.RunAfter(timeout, [this] {
      Status why = client->last_error();
      GiveUp(Status(ETIMEDOUT, why.ok() ? "metaserver: no answer in time" : "metaserver: " + why.message()));
    });
    watch = loop.RunEvery(milliseconds(5), [this, grace] { GiveUpIfRefused(grace); });
  }

  // NetClient tries again until the time-out; a person waits for a refused connection no longer than `grace`.
  void GiveUpIfRefused(Duration grace) {
    Status trouble = client->last_error();
    if (client->connected() || trouble.ok() || trouble.err() == ETIMEDOUT) {
      first_trouble.reset();
      return;
    }
    auto now = std::chrono::steady_clock::now();
    if (!first_trouble) first_trouble = now;
    if (now - *first_trouble >= grace) GiveUp(trouble);
  }

  void GiveUp(const Status& why) {
    auto keep = shared_from_this();
    Finish(Answer(why), true);
    client->Cancel(id);
  }

  void Finish(Answer answer, bool here) {
    watch.Cancel();
    late.Cancel();
    if (!done) return;
    auto fn = std::move(done);
    done = nullptr;
    fn(std::move(answer), here);
  }

  EventLoop& loop;
  NetClient::Options options;
  std::unique_ptr<NetClient> client;
  EventLoop::Timer watch, late;
  std::optional<MonoTime> first_trouble;
  std::function<void(Answer, bool here)> done;
  uint64_t id = 0;
  bool sent_again = false;  // the last call; read once it has ended
};

Result<std::unique_ptr<AdminConnection>> AdminConnection::Open(const GlobalOptions& options) {
  auto credentials = Credentials::Read(options.secret_file);
  if (!credentials.ok()) {
    const Status& s = credentials.status();
    return Status(
        s.err(),
        fmt::format("{}. The secret is made with the cluster: name its file with --secret-file, or run "
                    "this as a user who may read it",
                    s.message()));
  }
  Result<TlsMode> tls = ParseTlsMode(options.tls);
  if (!tls.ok()) return tls.status();
  return std::unique_ptr<AdminConnection>(
      new AdminConnection(options, credentials->With({.tls = *tls, .socket_dir = kSocketDir})));
}

AdminConnection::AdminConnection(const GlobalOptions& options, Credentials credentials)
    : addresses_(options.metaservers),
      secret_file_(options.secret_file),
      timeout_(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.timeout_s))) {
  NetClient::Options net;
  net.name = "metaserver";
  net.addresses = {""};
  net.role = pb::HelloRequest::ADMIN;
  net.id = NewUuid(SystemRandom());
  net.cluster_id = credentials.cluster_id();
  net.credentials = std::move(credentials);
  net.connect_timeout = timeout_;
  net.backoff_max = milliseconds(200);
  std::promise<void> made;
  thread_.loop().Post([&] {
    link_ = std::make_shared<Link>(thread_.loop(), std::move(net));
    made.set_value();
  });
  made.get_future().get();
}

AdminConnection::~AdminConnection() {
  std::promise<void> gone;
  thread_.loop().Post([&] {
    if (link_->client != nullptr) link_->client->Close();
    link_.reset();
    gone.set_value();
  });
  gone.get_future().get();
}

uint32_t AdminConnection::timeout_ms() const {
  return static_cast<uint32_t>(
      std::max<int64_t>(1, std::chrono::duration_cast<milliseconds>(timeout_).count()));
}

Answer AdminConnection::CallRaw(Op op, const google::protobuf::MessageLite& request, Kind kind,
                                Slices payload) {
  kind_ = kind;
  waiting_ = std::make_unique<Waiting>();
  const Duration longer = kind == Kind::kRead ? Duration::zero() : kLonger;
  auto deadline = std::chrono::steady_clock::now() + timeout_;
  while (true) {
    if (Status s = Reach(deadline); !s.ok()) {
      unreachable_ = true;
      return Answer(Explain(s));
    }
    unreachable_ = false;
    bool here = false;
    if (kind == Kind::kChange) {
      // From here on it may have been made; a member that comes back is told again.
      const Duration time = deadline + longer - std::chrono::steady_clock::now();
      Answer answer = Ask(op, request, std::max<Duration>(time, milliseconds(1)), kForEver, &here);
      const Code code = answer.status.code();
      if (here) {
        answer.status = Status(ETIMEDOUT, Code::kOutcomeUnknown,
                               fmt::format("{} was sent the change and has not answered", addresses_[at_]));
      } else if (link_->sent_again && (code == Code::kTryAgain || code == Code::kNotOwner)) {
        // It says what it can do now, not what became of the first.
        answer.status = Status(ETIMEDOUT, Code::kOutcomeUnknown,
                               fmt::format("{} was sent the change, the connection was lost, and now: {}",
                                           addresses_[at_], answer.status.message()));
      }
      return answer;
    }
    auto left = deadline + longer - std::chrono::steady_clock::now();
    bool others = addresses_.size() > 1;
    Answer answer = Ask(op, request, std::max<Duration>(left, milliseconds(1)),
                        others ? Duration::zero() : kRefusedGrace, &here, payload);
    if (!here) return answer;
    if (!others || std::chrono::steady_clock::now() >= deadline) {
      unreachable_ = answer.status.err() != ETIMEDOUT;
      if (unreachable_) answer.status = Explain(answer.status);
      return answer;
    }
    NextMember();
  }
}

Status AdminConnection::Reach(MonoTime deadline) {
  Status trouble;
  const auto count = static_cast<int64_t>(addresses_.size());
  // The first round is quick to go on to the next; in the last each has its part of the grace.
  for (int round = count == 1 ? 1 : 0; round < 2; ++round) {
    for (int64_t i = 0; i < count; ++i, NextMember()) {
      auto left = deadline - std::chrono::steady_clock::now();
      if (!trouble.ok() && left <= Duration::zero()) return trouble;
      Duration share =
          count == 1 ? left : std::min<Duration>(left, std::max<Duration>(timeout_ / count, kShareMin));
      Duration grace = round == 0 ? Duration::zero() : kRefusedGrace / count;
      Status s = TryMember(std::max<Duration>(share, milliseconds(1)), grace);
      if (s.ok()) return s;
      // That a member would not have us says more than that another is down.
      if (trouble.ok() || trouble.code() == Code::kNone) trouble = s;
    }
  }
  return trouble;
}

Status AdminConnection::TryMember(Duration timeout, Duration grace) {
  bool here = false;
  const Answer answer = Ask(Op::kPing, pb::PingRequest(), timeout, grace, &here);
  pb::PingReply who;
  // Only a chunkserver says who it is.
  if (answer.status.ok() && who.ParseFromString(answer.body) && !who.uuid().empty()) {
    return Status(EPROTOTYPE, fmt::format("{} is a chunkserver (uuid {}), not a metaserver", addresses_[at_],
                                          who.uuid()));
  }
  return answer.status;
}

Answer AdminConnection::Ask(Op op, const google::protobuf::MessageLite& request, Duration timeout,
                            Duration grace, bool* here, Slices payload) {
  std::promise<Answer> promise;
  thread_.loop().Post([&] {
    link_->Use(addresses_[at_]);
    link_->Call(op, request, payload, timeout, grace, [&promise, here](Answer answer, bool own) {
      *here = own;
      promise.set_value(std::move(answer));
    });
  });
  return waiting_->For(promise.get_future(), [this] { return WaitsFor(); });
}

std::string AdminConnection::WaitsFor() const {
  return fmt::format("{}{} (at most {} s: --timeout)", addresses_[at_],
                     kind_ == Kind::kChange   ? " to make the change"
                     : kind_ == Kind::kGather ? " to ask the others"
                                              : " to answer",
                     std::chrono::duration<double>(timeout_).count());
}

Status AdminConnection::Explain(const Status& status) const {
  std::string what_to_do;
  switch (status.code()) {
    case Code::kBadProof:
      what_to_do = AdviceForFile({.use = RefusedKey::Use::kAdmin,
                                  .shown = {},
                                  .file = secret_file_,
                                  .volume = {},
                                  .words = status.message()});
      break;
    case Code::kWrongVersion:
      what_to_do = "install the same version of KFS on both machines";
      break;
    case Code::kWrongCluster:
      what_to_do = "name a metaserver of the right cluster with --metaserver";
      break;
    default:
      if (status.err() == EPROTOTYPE) {
        what_to_do =
            "name a metaserver's address and port (7400 unless its option listen says another) with "
            "--metaserver HOST:PORT or $KFS_METASERVER";
        break;
      }
      what_to_do = fmt::format(
          "is kfs-metaserver running there ('systemctl status kfs-metaserver', or its log)? Name another "
          "with --metaserver "
          "HOST:PORT or $KFS_METASERVER (tried: {})",
          fmt::join(addresses_, ", "));
  }
  return Status(status.err(), status.code(), fmt::format("{}\n  {}", status.ToString(), what_to_do));
}

namespace {

bool g_report_as_json = false;  // set before the command runs

}  // namespace

void ReportAsJson(bool on) { g_report_as_json = on; }

int Report(const Status& status, ExitCode code) {
  const std::string unknown = "It may or may not have been made: 'kfs cluster log' shows what was made";
  if (g_report_as_json) {
    nlohmann::json error = {{"message", status.message().empty() ? status.ToString() : status.message()},
                            {"exit_code", static_cast<int>(code)}};
    if (const char* name = strerrorname_np(status.err()); name != nullptr) error["errno"] = name;
    if (code == kOutcomeUnknown) error["next"] = unknown;
    std::fprintf(stderr, "%s\n",
                 nlohmann::json({{"error", error}})
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                     .c_str());
    return code;
  }
  std::string text = status.message();
  // Connection errors have their errno's words already. Of an address that is not reached the words have said
  // why: "no route to host" of a name that is not known would say something else.
  if (text.empty() || (text.find('(') == std::string::npos && status.err() != EHOSTUNREACH && code != kUsage))
    text = status.ToString();
  std::fprintf(stderr, "kfs: %s\n", text.c_str());
  if (code == kOutcomeUnknown) std::fprintf(stderr, "  %s\n", unknown.c_str());
  return code;
}

ExitCode ExitCodeOf(const Status& status, bool unreachable) {
  if (unreachable) return kUnreachable;
  if (status.code() == Code::kOutcomeUnknown) return kOutcomeUnknown;
  return status.err() == ENOENT ? kNotFound : kFailed;
}

std::unique_ptr<AdminConnection> OpenOrReport(GlobalOptions& options, int* exit_code) {
  *exit_code = kOk;
  Status s = ResolveDefaults(&options);
  if (s.ok()) s = CheckMetaservers(options);
  if (!s.ok()) return *exit_code = Report(s, kUsage), nullptr;
  auto admin = AdminConnection::Open(options);
  if (!admin.ok()) return *exit_code = Report(admin.status(), kUsage), nullptr;  // the secret's file
  return std::move(*admin);
}

}  // namespace kfs::cli
