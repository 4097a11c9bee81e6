#include "cli/doctor/probe.h"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "common/uuid.h"
#include "proto/op_types.h"
#include "rpc/net_client.h"
#include "rpc/network.h"

namespace kfs::cli::doctor {
namespace {

using std::chrono::milliseconds;

// A link that has an error for so long is not waited for: NetClient would try again for ever.
constexpr Duration kTroubleMax = milliseconds(300);
constexpr Duration kLookEvery = milliseconds(10);

MonoTime ClockNow() { return std::chrono::steady_clock::now(); }

// One target's rounds, one after the other. Loop's thread.
class Probe {
 public:
  Probe(EventLoop& loop, const ProbeTarget& target, Duration patience, std::function<void()> ended)
      : loop_(loop), target_(target), ended_(std::move(ended)) {
    answer_.server.name = target.name;
    answer_.server.metaserver = target.server_role == pb::HelloRequest::METASERVER;
    late_ = loop_.RunAfter(patience, [this, patience] { GiveUp(patience); });
    Next();
  }
  ~Probe() {
    if (client_ != nullptr) client_->Close();
  }
  ProbeAnswer Take() { return std::move(answer_); }

 private:
  void Next() {
    began_ = ClockNow();
    if (target_.credentials.empty()) return Dial();
    client_ =
        std::make_unique<NetClient>(loop_, NetClient::Options{.name = NameOfRole(),
                                                              .addresses = {target_.address},
                                                              .role = target_.role,
                                                              .id = NewUuid(loop_.entropy()),
                                                              .cluster_id = target_.credentials.cluster_id(),
                                                              .credentials = target_.credentials,
                                                              .server_role = target_.server_role,
                                                              .server_uuid = "",
                                                              .may_be_older = nullptr});
    client_->OnConnected([this](const ConnectionPtr& connection, const NetClient::ReadyFn& ready) {
      greeted_ = ClockNow();
      answer_.server.link = connection->stream().kind();
      ready(Status(), false);
    });
    trouble_since_.reset();
    watch_ = loop_.RunEvery(kLookEvery, [this] { EndIfInTrouble(); });
    client_->Enqueue<rpc::Ping>({}, [this](const Answer& pong) { Answered(pong.status); });
  }

  std::string NameOfRole() const { return answer_.server.metaserver ? "metaserver" : "chunkserver"; }

  void Dial() {
    dialing_ = loop_.network().Dial(loop_, target_.address,
                                    {.whom = NameOfRole(), .socket_dir = "", .hard_close = false},
                                    [this](Result<std::unique_ptr<ByteStream>> stream) {
                                      if (ended_ == nullptr) return;  // too late
                                      if (!stream.ok()) return End(stream.status());
                                      (*stream)->Close();
                                      answer_.server.took.push_back(ClockNow() - began_);
                                      RoundEnded();
                                    });
  }

  void Answered(const Status& status) {
    if (ended_ == nullptr) return;
    if (!status.ok()) return End(status);
    ReachedServer& s = answer_.server;
    s.greeted = true;
    s.software = client_->server_software();
    s.took.push_back(greeted_ - began_);
    s.answered.push_back(ClockNow() - greeted_);
    if (target_.volume.empty() || answer_.located) return RoundEnded();
    pb::LocateVolumeRequest request;
    request.set_name(target_.volume);
    client_->Enqueue<rpc::LocateVolume>(request, [this](const Answer& located) {
      if (ended_ == nullptr) return;
      pb::LocateVolumeReply reply;
      const Status s = ParseAnswer(located, &reply);
      answer_.located =
          s.ok() ? Result<pb::LocateVolumeReply>(std::move(reply)) : Result<pb::LocateVolumeReply>(s);
      RoundEnded();
    });
  }

  // From within a call of the client or of the dialing, which go in the next turn.
  void RoundEnded() {
    watch_.Cancel();
    if (static_cast<int>(answer_.server.took.size()) == kProbeRounds) return End(Status());
    loop_.Post([this] {
      if (ended_ == nullptr) return;
      CloseClient();
      dialing_.reset();
      Next();
    });
  }

  void EndIfInTrouble() {
    const Status trouble = client_->last_error();
    if (trouble.ok() || client_->connected()) return trouble_since_.reset();
    if (!trouble_since_) trouble_since_ = ClockNow();
    if (ClockNow() - *trouble_since_ >= kTroubleMax) End(trouble);
  }

  void GiveUp(Duration patience) {
    Status why = client_ == nullptr ? Status() : client_->last_error();
    if (why.ok()) {
      const char* what = target_.credentials.empty() ? "no connection is made"
                         : client_ != nullptr && client_->linked()
                             ? "it takes connections, and does not answer"
                             : "no connection is made";
      why = Status(ETIMEDOUT,
                   fmt::format("{} within {:.1f} s", what, std::chrono::duration<double>(patience).count()));
    }
    End(why);
  }

  void End(const Status& status) {
    if (ended_ == nullptr) return;
    answer_.server.status = status;
    late_.Cancel();
    watch_.Cancel();
    std::exchange(ended_, nullptr)();
  }

  // What its calls end with is no news.
  void CloseClient() {
    auto ended = std::exchange(ended_, nullptr);
    if (client_ != nullptr) client_->Close();
    client_.reset();
    ended_ = std::move(ended);
  }

  EventLoop& loop_;
  const ProbeTarget target_;
  std::function<void()> ended_;  // null: it has been called
  ProbeAnswer answer_;
  std::unique_ptr<NetClient> client_;
  std::unique_ptr<Network::Dialing> dialing_;
  MonoTime began_{}, greeted_{};
  std::optional<MonoTime> trouble_since_;
  EventLoop::Timer late_, watch_;
};

}  // namespace

std::vector<ProbeAnswer> ProbeAll(const std::vector<ProbeTarget>& targets, Duration patience) {
  std::vector<ProbeAnswer> out;
  if (targets.empty()) return out;
  LoopThread thread("kfs-doctor");
  std::vector<std::unique_ptr<Probe>> probes;  // loop's thread
  size_t left = targets.size();                // likewise
  std::promise<void> all_ended;
  thread.loop().Post([&] {
    for (const ProbeTarget& target : targets)
      probes.push_back(std::make_unique<Probe>(thread.loop(), target, patience, [&] {
        if (--left == 0) all_ended.set_value();
      }));
  });
  all_ended.get_future().get();
  std::promise<void> taken;
  thread.loop().Post([&] {
    for (const auto& probe : probes) out.push_back(probe->Take());
    probes.clear();
    taken.set_value();
  });
  taken.get_future().get();
  return out;
}

}  // namespace kfs::cli::doctor
