// Calls over links that break: NetClient, Connection and Server with greetings, time-outs, resends, withdrawn
// calls, and calls that the server sends back, over a network that gives bytes in pieces, late, or not.
//
// Each call ends once: with the answer to what it asked, or for a reason that there was. One that is not to
// be sent again is served once at most. In the end nothing is pending, and each client has one connection.
#include <fmt/format.h>

#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "common/log.h"
#include "proto/op_types.h"
#include "rpc/net_client.h"
#include "rpc/server.h"
#include "tests/sim/disk/hash.h"
#include "tests/sim/parts/part.h"
#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {
namespace {

constexpr char kLinkSecret[] = "0123456789abcdef-links";
constexpr char kServerHost[] = "10.0.0.1", kServerAddress[] = "10.0.0.1:7400";
constexpr int kClients = 2, kCallsEach = 14;
constexpr uint64_t kAskedBack = 7;
constexpr Nanos kWhile = 2 * kSecond;  // in which all is asked, and goes wrong

struct Asked {
  int client = 0;
  std::string text;
  Nanos at = 0;
  std::optional<Duration> timeout;
  bool resend = true, cancelled = false, ended = false;
  int served = 0;
};

std::string AnswerTo(uint64_t number, const std::string& text) {
  const uint64_t hash = HashMore(kHashSeed, text);
  // As long as the question, so that large ones come in pieces, too.
  return fmt::format("{} {:x} {}", number, hash, std::string(text.size() / 2, 'a'));
}

class LinksRun {
 public:
  explicit LinksRun(const PartPlan& plan)
      : plan_(plan), world_(plan.seed), server_host_(world_.AddHost(kServerHost)) {
    for (int c = 0; c < kClients; ++c) {
      auto client = std::make_unique<Client>();
      client->name = fmt::format("10.0.1.{}", c + 1);
      client->process = world_.AddHost(client->name)->Start("client");
      clients_.push_back(std::move(client));
    }
  }
  ~LinksRun() {
    for (auto& client : clients_) {
      client->process->Kill();
      client->net.reset();
    }
    StopServer();
  }

  PartFigures Go() {
    StartServer();
    for (int c = 0; c < kClients; ++c) Begin(c);
    if (!plan_.quiet) GoWrong();
    world_.RunUntil(kWhile);
    const bool all = world_.RunUntil([this] { return ended_ == asked_.size(); }, 120 * kSecond);
    if (!all) {
      for (const auto& [number, a] : asked_) {
        if (!a.ended) figures_.Wrong(fmt::format("call {} never ends", number));
      }
    }
    world_.mishaps = {};
    for (auto& client : clients_)
      world_.At(world_.now(), client->process, [&client] { client->net->KeepConnected(); });
    world_.RunUntil(world_.now() + 40 * kSecond);
    Judge();
    figures_.hash = world_.Hash();
    figures_.virtual_time = world_.now();
    return figures_;
  }

 private:
  struct Client {
    std::string name;
    std::shared_ptr<Process> process;
    std::shared_ptr<NetClient> net;
    int asked_back = 0;
  };

  static Credentials Secret() {
    return Credentials::Root(kLinkSecret).With({.tls = TlsMode::kOff, .socket_dir = {}});
  }

  void StartServer() {
    process_ = server_host_->Start("server");
    server_ = std::make_unique<Server>(process_->loop(),
                                       ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                      .cluster_id = "a",
                                                      .keyring = RootKeyring(kLinkSecret),
                                                      .policy = {.tls = TlsMode::kOff, .socket_dir = {}}});
    server_->Handle<rpc::Getxattr>([this](IncomingCallPtr call, const pb::GetxattrRequest& request) {
      Serve(std::move(call), request);
    });
    server_->OnDisconnect([this](const ConnectionPtr& connection) { last_of_.erase(connection.get()); });
    if (!server_->Listen(kServerAddress).ok()) figures_.Wrong("the server cannot listen");
  }
  void StopServer() {
    if (process_ == nullptr) return;
    process_->Kill();
    forgotten_.clear();
    server_.reset();
    process_.reset();
    last_of_.clear();
  }

  void Serve(IncomingCallPtr call, const pb::GetxattrRequest& request) {
    const auto it = asked_.find(request.ino());
    if (it == asked_.end() || it->second.text != request.name())
      return figures_.Wrong(fmt::format("call {} is served, as nobody has asked it", request.ino()));
    Asked& a = it->second;
    if (++a.served > 1 && !a.resend) figures_.Wrong(fmt::format("call {} is served again", it->first));
    // On one connection they come in the order in which they were made.
    uint64_t& last = last_of_[call->connection().get()];
    if (last > request.ino()) figures_.Wrong(fmt::format("call {} comes after call {}", request.ino(), last));
    last = request.ino();
    pb::GetxattrReply reply;
    reply.set_value(AnswerTo(plan_.planted == 1 && it->first % 7 == 0 ? it->first - 1 : it->first, a.text));
    if (world_.Chance(0.1)) AskBack(call->connection());
    // Now and then it waits, as for a lock.
    if (!world_.Chance(0.25)) return call->Reply(reply);
    call->Parked();
    if (plan_.planted == 2) return forgotten_.push_back(call);
    const Nanos when = world_.now() + world_.Between(0, world_.Chance(0.1) ? 30 * kSecond : kSecond);
    world_.At(when, process_, [call, reply] { call->Reply(reply); });
  }
  // The other way round.
  void AskBack(const ConnectionPtr& connection) {
    auto answered = std::make_shared<bool>(false);
    pb::DrainReleasesRequest request;
    request.set_ino(kAskedBack);
    connection->Call(Op::kDrainReleases, request, {}, [this, answered](const Answer&) {
      if (std::exchange(*answered, true)) figures_.Wrong("what a server has asked ends twice");
    });
  }

  void Begin(int c) {
    Client& client = *clients_[static_cast<size_t>(c)];
    NetClient::Options o;
    o.name = "server";
    o.addresses = {kServerAddress};
    o.role = pb::HelloRequest::CLIENT;
    o.id = client.name;
    o.credentials = Secret();
    o.may_give_up = false;
    client.net = std::make_shared<NetClient>(client.process->loop(), o);
    auto served = std::make_shared<Dispatcher>(client.process->loop(),
                                               Dispatcher::Options{.role = pb::HelloRequest::CLIENT});
    served->Handle<rpc::DrainReleases>(
        [this, &client](const IncomingCallPtr& call, const pb::DrainReleasesRequest& request) {
          if (request.ino() != kAskedBack) figures_.Wrong("a client is asked what nobody has asked");
          ++client.asked_back;
          call->Reply(pb::DrainReleasesReply());
        });
    client.net->Serve(std::move(served));
    for (int i = 0; i < kCallsEach; ++i)
      world_.At(world_.Between(0, kWhile), client.process, [this, c] { Ask(c); });
  }

  void Ask(int c) {
    Client& client = *clients_[static_cast<size_t>(c)];
    const uint64_t number = ++last_number_;
    Asked& a = asked_[number];
    a.client = c;
    a.text.assign(static_cast<size_t>(world_.Between(1, world_.Chance(0.2) ? 60000 : 200)),
                  static_cast<char>('a' + world_.Draw() % 26));
    a.at = client.process->Time();
    a.resend = !world_.Chance(0.2);
    if (world_.Chance(0.2)) a.timeout = Duration(world_.Between(kMilli, 3 * kSecond));
    pb::GetxattrRequest request;
    request.set_ino(number);
    request.set_name(a.text);
    ++figures_.calls;
    const uint64_t id =
        client.net->Enqueue({.op = Op::kGetxattr,
                             .request = &request,
                             .payload = {},
                             .timeout = a.timeout,
                             .resend = a.resend,
                             .done = [this, number](const Answer& answer) { Ended(number, answer); }});
    if (!world_.Chance(0.1)) return;
    world_.At(world_.now() + world_.Between(0, kSecond), client.process, [this, number, id, &client] {
      Asked& asked = asked_.at(number);
      if (asked.ended) return;
      asked.cancelled = true;
      if (!client.net->Cancel(id)) figures_.Wrong(fmt::format("call {} cannot be withdrawn", number));
    });
  }

  void Ended(uint64_t number, const Answer& answer) {
    Asked& a = asked_.at(number);
    if (std::exchange(a.ended, true)) return figures_.Wrong(fmt::format("call {} ends twice", number));
    ++ended_;
    world_.Note(static_cast<uint64_t>(answer.status.err()));
    KFS_LOG(debug, "part.ended call={} status=\"{}\"", number, answer.status.ToString());
    const Status& s = answer.status;
    if (s.ok()) {
      pb::GetxattrReply reply;
      if (!reply.ParseFromString(answer.body) || reply.value() != AnswerTo(number, a.text))
        figures_.Wrong(fmt::format("call {} gets another one's answer", number));
      if (a.served == 0) figures_.Wrong(fmt::format("call {} was answered, and never served", number));
      return;
    }
    const Nanos waited = clients_[static_cast<size_t>(a.client)]->process->Time() - a.at;
    const bool reason = (s.err() == ECANCELED && a.cancelled) ||
                        (s.err() == ETIMEDOUT && a.timeout && waited >= a.timeout->count()) ||
                        (s.code() == Code::kConnectionLost && !a.resend);
    if (!reason) figures_.Wrong(fmt::format("call {} fails for no reason: {}", number, s.ToString()));
  }

  void GoWrong() {
    Mishaps& m = world_.mishaps;
    m.stop_chance = world_.Chance(0.5) ? 0.0005 : 0;
    m.stop_max = world_.Between(kMilli, 3 * kSecond);
    m.slow_chance = world_.Chance(0.5) ? 0.03 : 0;
    m.cut_chance = world_.Chance(0.5) ? 0.02 : 0;
    const int faults = static_cast<int>(world_.Between(1, 4));
    for (int i = 0; i < faults; ++i) {
      world_.At(world_.Between(0, kWhile), nullptr, [this] {
        ++figures_.faults;
        world_.Chance(0.5) ? Restart() : CutOff();
      });
    }
  }
  void Restart() {
    StopServer();
    world_.At(world_.now() + world_.Between(0, 2 * kSecond), nullptr, [this] {
      if (process_ == nullptr) StartServer();
    });
  }
  void CutOff() {
    const std::string name = clients_[world_.Draw() % kClients]->name;
    world_.Cut(kServerHost, name, true);
    world_.At(world_.now() + world_.Between(0, 8 * kSecond), nullptr,
              [this, name] { world_.Cut(kServerHost, name, false); });
  }

  void Judge() {
    for (const auto& client : clients_) {
      if (client->net->pending() != 0) figures_.Wrong(client->name + " has calls pending");
      if (!client->net->connected()) figures_.Wrong(client->name + " is not connected");
    }
    if (server_ == nullptr) return figures_.Wrong("the server is down");
    if (const size_t n = server_->connections().size(); n != kClients)
      figures_.Wrong(fmt::format("{} connections of {} clients", n, kClients));
  }

  const PartPlan plan_;
  World world_;
  const std::shared_ptr<Host> server_host_;
  std::shared_ptr<Process> process_;
  std::unique_ptr<Server> server_;
  std::map<const Connection*, uint64_t> last_of_;
  std::vector<IncomingCallPtr> forgotten_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<uint64_t, Asked> asked_;
  size_t ended_ = 0;
  uint64_t last_number_ = 0;
  PartFigures figures_;
};

}  // namespace

PartFigures RunLinks(const PartPlan& plan) { return LinksRun(plan).Go(); }

}  // namespace kfs::sim
