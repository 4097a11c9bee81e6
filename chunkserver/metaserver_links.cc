#include "chunkserver/metaserver_links.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/log.h"
#include "rpc/address.h"

namespace kfs {
namespace {

// Those that can be dialled, each once.
std::vector<std::string> Usable(const std::vector<std::string>& addresses) {
  std::vector<std::string> usable;
  for (const std::string& address : addresses) {
    std::string host;
    uint16_t port = 0;
    if (!SplitAddress(address, kMetaserverPort, &host, &port).ok()) {
      KFS_LOG(warn, "metaserver.bad_address address=\"{}\"", address);
    } else if (usable.size() < MetaserverLinks::kMembersMax && std::ranges::count(usable, address) == 0) {
      usable.push_back(address);
    }
  }
  return usable;
}

}  // namespace

MetaserverLinks::MetaserverLinks(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkService* service,
                                 Options options, MetaserverLinkEnv& env)
    : loop_(loop), store_(store), pool_(pool), service_(service), options_(std::move(options)), env_(env) {}

MetaserverLinks::~MetaserverLinks() {
  lifetime_.End();
  complain_.Cancel();
  save_synced_.Cancel();
  links_.clear();
  // Older points are true, too.
  if (synced_saved_ != synced_.changes() && !saving_synced_) (void)synced_.Write(*store_);
}

void MetaserverLinks::Start() {
  known_ = ReadKnownMetaservers(*store_);
  known_.addresses = Usable(known_.addresses);
  saved_ = known_.generation;
  synced_ = SyncPoints::Read(*store_);
  synced_saved_ = synced_.changes();
  for (size_t i = 0; i < std::min(kMembersMax, options_.metaservers.size()); ++i)
    Open(options_.metaservers[i]);
  for (const std::string& address : known_.addresses) Open(address);
  complain_ = loop_.RunEvery(kComplainEvery, [this] { Complain(); });
  save_synced_ = loop_.RunEvery(kSaveSyncedEvery, [this] { SaveSynced(); });
}

void MetaserverLinks::TunablesChanged() {
  for (const auto& [address, link] : links_) link->TunablesChanged();
}

bool MetaserverLinks::registered() const {
  return std::ranges::any_of(links_, [](const auto& l) { return l.second->registered(); });
}

std::vector<std::string> MetaserverLinks::addresses() const {
  std::vector<std::string> all;
  for (const auto& [address, link] : links_) all.push_back(address);
  return all;
}

void MetaserverLinks::Open(const std::string& address) {
  if (links_.contains(address)) return;
  MetaserverLink::Options options = options_.link;
  options.metaserver = address;
  auto& link = links_[address];
  link = std::make_unique<MetaserverLink>(loop_, store_, pool_, service_, &turns_, std::move(options), env_,
                                          *this);
  link->Start();
}

void MetaserverLinks::Learned(const std::string& from, uint64_t generation,
                              const std::vector<std::string>& members) {
  const bool news = generation > known_.generation || (generation == known_.generation && !confirmed_);
  if (generation != 0 && news) {
    auto usable = Usable(members);
    if (usable.empty()) return;
    if (usable != known_.addresses) {
      KFS_LOG(info, "metaserver.members generation={} from={} all=\"{}\"", generation, from,
              fmt::join(usable, " "));
    }
    confirmed_ = true;
    known_ = {.cluster_id = store_->cluster_id(), .generation = generation, .addresses = std::move(usable)};
    Save();
  }
  // Not from inside a link: it may be the one to go.
  if (settling_) return;
  settling_ = true;
  loop_.Post(lifetime_.While([this] { Settle(); }));
}

void MetaserverLinks::Settle() {
  settling_ = false;
  if (!confirmed_) return;
  bool member_has_us = false;
  for (const std::string& address : known_.addresses) {
    Open(address);
    member_has_us = member_has_us || links_.at(address)->registered();
  }
  if (!member_has_us) return;
  for (auto it = links_.begin(); it != links_.end();) {
    if (std::ranges::count(known_.addresses, it->first) != 0) {
      ++it;
      continue;
    }
    KFS_LOG(info, "metaserver.link_dropped metaserver={} reason=\"no member of the cluster by this address\"",
            it->first);
    it = links_.erase(it);
  }
}

void MetaserverLinks::Save() {
  if (saving_ || saved_ == known_.generation) return;
  saving_ = true;
  auto status = std::make_shared<Status>();
  const bool taken = pool_->Submit(
      {}, [store = store_, known = known_, status] { *status = WriteKnownMetaservers(*store, known); },
      lifetime_.While([this, status, generation = known_.generation] {
        saving_ = false;
        if (!status->ok()) {
          KFS_LOG(warn, "metaserver.list_not_saved reason=\"{}\"", status->ToString());
          return;
        }
        saved_ = generation;
        Save();  // there may be a newer one
      }));
  if (!taken) saving_ = false;  // with the next generation, or at the next start
}

void MetaserverLinks::SaveSynced() {
  if (synced_saved_ == synced_.changes() || saving_synced_) return;
  saving_synced_ = pool_->Submit(
      {},
      [store = store_, synced = synced_] {
        if (Status s = synced.Write(*store); !s.ok())
          KFS_LOG(warn, "synced.not_saved reason=\"{}\"", s.ToString());
      },
      lifetime_.While([this, changes = synced_.changes()] {
        saving_synced_ = false;
        synced_saved_ = changes;  // what was not taken is kept with the next
      }));
}

// Nobody else would say it: without a metaserver there are no requests that fail.
void MetaserverLinks::Complain() const {
  if (registered()) return;
  std::string reasons;
  bool waits = false;
  for (const auto& [address, link] : links_) {
    waits = waits || link->waits_for_consent();
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", address, link->problem().message());
  }
  if (waits) {
    KFS_LOG(warn,
            "metaserver.not_accepted uuid={} address={} reason=\"{}\" next=\"not accepted yet: an "
            "administrator must run "
            "'kfs chunkserver add'; this server is used as soon as it is accepted\"",
            store_->server_uuid(), options_.link.address, reasons);
    return;
  }
  KFS_LOG(warn,
          "metaserver.not_registered reason=\"{}\" next=\"check the options metaservers and secret-file, and "
          "that "
          "a metaserver runs; this server is used as soon as it is registered\"",
          reasons);
}

}  // namespace kfs
