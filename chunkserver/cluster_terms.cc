#include "chunkserver/cluster_terms.h"

#include <utility>

#include "common/log.h"

namespace kfs {

Tunables ClusterTerms::With(const pb::ChunkserverTerms& terms) const {
  Tunables t = own_;
  for (const auto& [name, value] : terms.option()) {
    if (name == "chunkserver-reserve") {
      t.reserve_bytes = static_cast<uint64_t>(value);
    } else if (name == "chunkserver-inventory-interval") {
      t.inventory_interval = std::chrono::seconds(value);
    } else if (name == "chunkserver-inventory-rate") {
      t.inventory_rate = value;
    } else if (name == "chunkserver-garbage-keep") {
      t.garbage_keep = std::chrono::seconds(value);
    } else if (name == "chunkserver-sync-ms") {
      t.sync_interval = std::chrono::milliseconds(value);
    } else {
      KFS_LOG(warn, "cluster.option_unknown name={} reason=\"the cluster has a later version\"", name);
    }
  }
  return t;
}

Status ClusterTerms::Prepare(const pb::PrepareConfRequest& request) {
  if (request.generation() <= generation_) return {};  // it is late: that generation is decided
  OnTimer();
  if (prepared_until_ != MonoTime() && request.generation() == prepared_.generation() &&
      std::make_pair(request.ballot(), request.originator()) <
          std::make_pair(prepared_.ballot(), prepared_.originator())) {
    return Status(EAGAIN, Code::kTryAgain, "a newer attempt was prepared");
  }
  KFS_RETURN_IF_ERROR(env_.CheckTunables(With(request.terms())));
  // First, or a chunk could be created after we have looked.
  env_.RefuseNew(left_ || request.terms().leave());
  if (request.terms().leave()) {
    if (Status st = env_.HoldsNothing(); !st.ok()) {
      Forget();
      return st;
    }
  }
  prepared_ = request;
  prepared_until_ = clock_.MonoNow() + kPreparedFor;
  return {};
}

void ClusterTerms::Learn(uint64_t generation, const pb::ChunkserverTerms& terms) {
  if (generation <= generation_) return;
  generation_ = generation;
  left_ = terms.leave();
  Forget();
  const Tunables t = With(terms);
  if (t == in_force_) return;
  // Decided is decided; one that cannot be here any more (another disk, perhaps) is left as it was.
  if (Status st = env_.CheckTunables(t); !st.ok()) {
    KFS_LOG(error, "cluster.options_not_followed generation={} reason=\"{}\"", generation, st.message());
    return;
  }
  in_force_ = t;
  env_.Apply(t);
}

void ClusterTerms::OnTimer() {
  if (prepared_until_ == MonoTime() || clock_.MonoNow() < prepared_until_) return;
  KFS_LOG(info, "cluster.prepared_expired generation={}", prepared_.generation());
  Forget();
}

void ClusterTerms::Forget() {
  prepared_until_ = {};
  prepared_.Clear();
  env_.RefuseNew(left_);
}

}  // namespace kfs
