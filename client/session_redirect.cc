// Session: when the metaserver does not open it. Another one serves the volume, it is stopped, or it is gone;
// and which metaservers there are.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "client/session.h"
#include "common/log.h"

namespace kfs {

Status Session::CheckCluster() {
  const auto net = net_.lock();
  if (net == nullptr || cluster_.empty()) return {};
  const std::string there = net->server_cluster_id();
  if (there.empty() || there == cluster_) return {};
  const Status why(EHOSTUNREACH, Code::kWrongCluster,
                   fmt::format("the metaserver at {} belongs to cluster {}, and volume \"{}\" to cluster {}",
                               net->address(), there, options_.volume, cluster_));
  if (std::exchange(other_cluster_, there) != there) {
    KFS_LOG(error,
            "session.wrong_cluster volume={} session={} reason=\"{}\" effect=\"calls wait\" next=\"start the "
            "right "
            "metaserver there, or unmount\"",
            options_.volume, session_, why.message());
  }
  return why;
}

void Session::NotOpened(const std::shared_ptr<Attaching>& a, const Status& status) {
  const auto net = net_.lock();
  const std::string address = net != nullptr ? net->address() : "";
  const Code code = status.code();
  const bool first = attaches_ == 0;
  if (code == Code::kConnectionLost || code == Code::kTryAgain) return a->ready(status, false);
  if (code == Code::kNotOwner) return Redirect(a, status);
  if (!first && metaservers_.IsStranger(address)) return a->ready(status, false);
  if (code == Code::kUnknownSession && session_ != 0) {
    Lost(status);
    return Open(a);
  }
  if (first) {
    if (env_ != nullptr) env_->NotAttached(status);
    return a->ready(status, true);
  }
  if (code == Code::kStopped) {
    Stopped(status);
    if (net != nullptr) net->RetryAfter(kStoppedPause);
  }
  // A volume that was stopped may be started again; one that is gone stays gone.
  const bool gone = status.err() == ENOENT && metaservers_.SaidGone(address);
  if (gone) stopped_ = Status();
  // Not ENOENT: programs would take that for the answer about a file.
  a->ready(gone ? Status(ESTALE, status.code(), status.message()) : status, gone);
}

void Session::Redirect(const std::shared_ptr<Attaching>& a, const Status& why) {
  pb::LocateVolumeRequest request;
  request.set_name(options_.volume);
  a->connection->Call(Op::kLocateVolume, request, {}, [weak = weak_from_this(), a, why](Answer answer) {
    if (auto self = weak.lock()) self->OnRedirected(a, why, answer);
  });
}

void Session::OnRedirected(const std::shared_ptr<Attaching>& a, const Status& why, const Answer& answer) {
  const auto net = net_.lock();
  pb::LocateVolumeReply reply;
  const Status status = ParseAnswer(answer, &reply);
  if (!status.ok() || net == nullptr) return a->ready(status.ok() ? why : status, false);
  const std::string from = net->address();
  if (reply.owner() == from) another_at_owner_ = true;
  const auto taken = TakeMetaservers(reply);
  const MonoTime now = loop_.Now();
  const bool at_once =
      taken != MetaserverList::kIgnored && reply.owner() != from && now - last_redirect_ >= kRedirectPause;
  if (at_once) {
    last_redirect_ = now;
    net->RetryAfter(Duration::zero());
    KFS_LOG(info, "session.redirected volume={} from={} owner={} generation={}", options_.volume, from,
            reply.owner(), reply.generation());
  }
  a->ready(why, false);
}

void Session::Disconnected() {
  const auto net = net_.lock();
  if (net != nullptr && !metaservers_.owner().empty()) net->SetAddresses(metaservers_.Order());
}

void Session::Stopped(const Status& why) {
  const bool known = !stopped_.ok();
  stopped_ = Status(ESHUTDOWN, Code::kStopped, why.message());
  if (!known) {
    KFS_LOG(
        warn,
        "session.volume_stopped volume={} session={} reason=\"{}\" effect=\"calls fail with ESHUTDOWN until "
        "the volume is started again\"",
        options_.volume, session_, why.message());
  }
  // Also when it was known: calls may have begun to wait meanwhile.
  if (env_ != nullptr) env_->VolumeStopped();
}

void Session::NoteGeneration(uint64_t generation) {
  const auto net = net_.lock();
  if (generation == metaservers_.generation() || generation == 0 || net == nullptr || locating_) return;
  locating_ = true;
  pb::LocateVolumeRequest request;
  request.set_name(options_.volume);
  net->Enqueue({.op = Op::kLocateVolume,
                .request = &request,
                .payload = {},
                .timeout = std::chrono::seconds(30),
                .resend = false,
                .done = [weak = weak_from_this(), generation](Answer answer) {
                  auto self = weak.lock();
                  if (self == nullptr) return;
                  self->locating_ = false;
                  pb::LocateVolumeReply reply;
                  const Status status = ParseAnswer(answer, &reply);
                  // Any other failure: the next answer to KeepAlive leads here again.
                  if (status.err() == EOPNOTSUPP) self->metaservers_.Skip(generation);
                  if (status.ok()) self->TakeMetaservers(reply);
                }});
}

MetaserverList::Taken Session::TakeMetaservers(const pb::LocateVolumeReply& reply) {
  const auto taken = metaservers_.Take(reply);
  if (taken == MetaserverList::kNew) {
    KFS_LOG(info, "session.metaservers volume={} generation={} owner={} all=\"{}\"", options_.volume,
            reply.generation(), reply.owner(), fmt::join(metaservers_.members(), " "));
  }
  const auto net = net_.lock();
  if (taken != MetaserverList::kIgnored && net != nullptr) net->SetAddresses(metaservers_.Order());
  return taken;
}

}  // namespace kfs
