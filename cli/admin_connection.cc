#include "cli/admin_connection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <fstream>
#include <future>
#include <optional>

#include "common/secret.h"

namespace kfs::cli {
namespace {

// A server that is just being restarted refuses connections for a moment; longer than this it is not there.
constexpr Duration kRefusedGrace = std::chrono::milliseconds(500);

std::string OwnId() {
  std::ifstream in("/proc/sys/kernel/random/uuid");
  std::string id;
  std::getline(in, id);
  return id;
}

}  // namespace

// Everything here belongs to the loop's thread.
struct AdminConnection::Link : std::enable_shared_from_this<Link> {
  Link(EventLoop& l, NetClient::Options options) : loop(l), client(l, std::move(options)) {}

  void Call(Op op, const google::protobuf::MessageLite& request, Duration timeout, AnswerFn on_answer) {
    done = std::move(on_answer);
    first_trouble.reset();
    id = client.Enqueue({.op = op,
                         .request = &request,
                         .payload = {},
                         .timeout = timeout,
                         .resend = true,
                         .done = [this](Answer answer) { Finish(std::move(answer)); }});
    watch = loop.RunEvery(std::chrono::milliseconds(5), [this] { GiveUpIfRefused(); });
  }

  // NetClient tries again until the time-out; a person waits for a refused connection no longer than
  // kRefusedGrace.
  void GiveUpIfRefused() {
    Status trouble = client.last_error();
    if (client.connected() || trouble.ok() || trouble.err() == ETIMEDOUT) {
      first_trouble.reset();
      return;
    }
    auto now = std::chrono::steady_clock::now();
    if (!first_trouble) first_trouble = now;
    if (now - *first_trouble < kRefusedGrace) return;
    Answer answer;
    answer.status = trouble;
    auto keep = shared_from_this();
    Finish(std::move(answer));
    client.Cancel(id);
  }

  void Finish(Answer answer) {
    watch.Cancel();
    if (!done) return;
    AnswerFn fn = std::move(done);
    done = nullptr;
    reached = client.connected();
    fn(std::move(answer));
  }

  EventLoop& loop;
  NetClient client;
  EventLoop::Timer watch;
  std::optional<MonoTime> first_trouble;
  AnswerFn done;
  uint64_t id = 0;
  bool reached = false;
};

Result<std::unique_ptr<AdminConnection>> AdminConnection::Open(const GlobalOptions& options) {
  auto secret = ReadSecretFile(options.secret_file);
  if (!secret.ok()) {
    const Status& s = secret.status();
    return Status(
        s.err(),
        fmt::format("{}. The secret is made with the cluster: name its file with --secret-file, or run "
                    "this as a user who may read it",
                    s.message()));
  }
  return std::unique_ptr<AdminConnection>(new AdminConnection(options, std::move(*secret)));
}

AdminConnection::AdminConnection(const GlobalOptions& options, std::string secret)
    : addresses_(fmt::format("{}", fmt::join(options.metaservers, ", "))),
      secret_file_(options.secret_file),
      timeout_(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.timeout_s))) {
  NetClient::Options net;
  net.name = "metaserver";
  net.addresses = options.metaservers;
  net.role = pb::HelloRequest::ADMIN;
  net.id = OwnId();
  net.secret = std::move(secret);
  net.connect_timeout = timeout_;
  net.backoff_max = std::chrono::milliseconds(200);
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
    link_->client.Close();
    link_.reset();
    gone.set_value();
  });
  gone.get_future().get();
}

Answer AdminConnection::CallRaw(Op op, const google::protobuf::MessageLite& request) {
  std::promise<Answer> promise;
  thread_.loop().Post([&] {
    link_->Call(op, request, timeout_, [this, &promise](Answer answer) {
      unreachable_ = !answer.status.ok() && !link_->reached;
      promise.set_value(std::move(answer));
    });
  });
  Answer answer = promise.get_future().get();
  if (unreachable_) answer.status = Explain(answer.status);
  return answer;
}

Status AdminConnection::Explain(const Status& status) const {
  std::string what_to_do;
  switch (status.code()) {
    case Code::kBadProof:
      what_to_do = fmt::format(
          "the secret in {} is not this cluster's; name the right file with --secret-file", secret_file_);
      break;
    case Code::kWrongVersion:
      what_to_do = "install the same version of KFS on both machines";
      break;
    case Code::kWrongCluster:
      what_to_do = "name a metaserver of the right cluster with --metaserver";
      break;
    default:
      what_to_do = fmt::format(
          "is kfs-metaserver running there ('systemctl status kfs-metaserver', or its log)? Name another "
          "with --metaserver "
          "HOST:PORT or $KFS_METASERVER (tried: {})",
          addresses_);
  }
  return Status(status.err(), status.code(), fmt::format("{}\n  {}", status.ToString(), what_to_do));
}

int Report(const Status& status, ExitCode code) {
  std::string text = status.message();
  // Connection errors have their errno's words already.
  if (text.find('(') == std::string::npos) text = status.ToString();
  std::fprintf(stderr, "kfs: %s\n", text.c_str());
  return code;
}

}  // namespace kfs::cli
