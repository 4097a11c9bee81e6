#include "chunkserver/daemon.h"

#include <fmt/format.h>

#include <cstdlib>

#include "chunkserver/chunk_keyring.h"
#include "chunkserver/chunk_store.h"
#include "chunkserver/disk_age.h"
#include "chunkserver/io_pool.h"
#include "chunkserver/metaserver_links.h"
#include "chunkserver/metrics.h"
#include "chunkserver/own_key.h"
#include "chunkserver/service.h"
#include "chunkserver/sync_thread.h"
#include "common/chunk_token.h"
#include "common/credentials.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/uuid.h"
#include "rpc/monitor.h"
#include "rpc/server.h"

namespace kfs {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

Result<Labels> ParseLabels(const std::vector<std::string>& texts) {
  Labels labels;
  for (const std::string& text : texts) {
    size_t eq = text.find('=');
    if (eq == 0 || eq == std::string::npos) return Status(EINVAL, "labels: '" + text + "' is not name=value");
    labels.emplace_back(text.substr(0, eq), text.substr(eq + 1));
  }
  return labels;
}

}  // namespace

struct ChunkserverDaemon::Impl final : public ClusterTermsEnv, public MetaserverLinkEnv {
  Impl(EventLoop& l, const ChunkserverOptions& o, FileOps& f) : loop(l), options(o), files(f) {}
  void StartLinks(Labels labels);
  void GoOn();
  void MakeTerms();
  Status StartMonitor();
  Status Health() const;

  Status CheckTunables(const Tunables& t) override;
  void Apply(const Tunables& t) override;
  void RefuseNew(bool refuse) override { store->RefuseNew(refuse); }
  Status HoldsNothing() override { return store->HoldsNothing(); }
  void OnCluster(const std::string& cluster) override { server->SetClusterId(cluster); }
  void OnTaken() override;
  void OnMustEnd(const std::string& metaserver, const Status& why) override;
  void FillLinks(pb::HeartbeatRequest* request) override;

  EventLoop& loop;
  const ChunkserverOptions& options;
  FileOps& files;
  const std::string instance = NewUuid(loop.entropy());
  Credentials credentials;
  std::unique_ptr<ChunkStore> store;
  std::unique_ptr<DiskAges> ages;  // outlives the pool's work
  ChunkMetrics metrics;
  std::unique_ptr<IoPool> pool;
  std::unique_ptr<ClusterTerms> terms;
  std::unique_ptr<AccessGate> gate;
  std::unique_ptr<ChunkService> service;
  std::unique_ptr<Server> server;
  std::unique_ptr<MetaserverLinks> links;
  std::unique_ptr<SyncThread> sync;
  std::unique_ptr<Monitor> monitor;  // null: none is asked for
  EventLoop::Timer second_timer, age_timer;
  std::function<void()> end = [] {
    spdlog::shutdown();
    std::_Exit(kExitRunsTwice);
  };
};

ChunkserverDaemon::ChunkserverDaemon(EventLoop& loop, const ChunkserverOptions& options, FileOps* files)
    : impl_(std::make_unique<Impl>(loop, options, files != nullptr ? *files : SystemFiles())) {}

ChunkserverDaemon::~ChunkserverDaemon() { Stop(); }

Status ChunkserverDaemon::Start() {
  Impl& d = *impl_;
  const ChunkserverOptions& o = d.options;
  auto credentials = ReadCredentials(o);
  if (!credentials.ok()) return credentials.status();
  d.credentials = std::move(*credentials);
  KFS_RETURN_IF_ERROR(o.Check());
  ChunkStore::Options store;
  store.data_dirs = o.data_dirs();
  store.reserve_bytes = static_cast<uint64_t>(o.reserve_bytes());
  store.open_chunks_max = static_cast<size_t>(o.open_chunks_max());
  store.cache_bytes_max = static_cast<uint64_t>(o.cache_bytes_max());
  store.clean_after = std::chrono::milliseconds(o.clean_after_ms());
  store.garbage_keep = std::chrono::seconds(o.garbage_keep_s());
  store.durable_mutations = o.durable_mutations();
  store.ops = &d.files;
  store.clock = &d.loop.clock();
  store.entropy = &d.loop.entropy();
  auto opened = ChunkStore::Open(std::move(store));
  if (!opened.ok()) return opened.status();
  d.store = std::move(*opened);
  d.ages = std::make_unique<DiskAges>(d.store.get());
  d.ages->Begin(static_cast<uint64_t>(o.accept_older_copy()));
  for (const std::string& dir : o.data_dirs()) {  // an earlier version left them to the umask
    if (const int err = d.files.Chmod(dir, S_IRWXU); err < 0)
      KFS_LOG(warn, "data_dir.open_to_others dir={} reason=\"{}\" next=\"chmod 700 it\"", dir,
              ErrnoText(-err));
  }
  d.pool = std::make_unique<IoPool>(d.loop, static_cast<size_t>(o.io_threads()));
  d.MakeTerms();
  auto labels = ParseLabels(o.labels());
  if (!labels.ok()) return labels.status();
  auto own = OwnCredentials(d.credentials, *d.store, o.metaservers(), *labels);
  if (!own.ok()) return own.status();
  d.credentials = std::move(*own);
  // Its own key, which metaservers make from the root secret.
  const std::string key_id = ChunkserverKeyId(d.store->server_uuid(), d.credentials.generation());
  d.gate = std::make_unique<AccessGate>(
      d.credentials.is_root() ? d.credentials.Derived(key_id).key() : d.credentials.key(), d.loop.clock(),
      d.credentials.policy().tls == TlsMode::kAccept);
  d.service = std::make_unique<ChunkService>(
      d.loop, d.store.get(), d.pool.get(), &d.metrics, d.terms.get(), d.gate.get(),
      ChunkService::Options{.inline_write_max = static_cast<size_t>(o.inline_write_max()),
                            .inline_read_max = static_cast<size_t>(o.inline_read_max())});
  d.server = std::make_unique<Server>(
      d.loop,
      ServerIdentity{
          .role = pb::HelloRequest::CHUNKSERVER,
          .cluster_id = d.store->cluster_id(),
          .keyring = std::make_shared<ChunkKeyring>(d.credentials, d.store->server_uuid(), d.loop.clock()),
          .uuid = d.store->server_uuid(),
          .instance = d.instance,
          .newest_connection_only = true,
          .policy = d.credentials.policy(),
          .seen = std::make_shared<SeenPeers>(o.data_dirs().front() + "/kfs-disk.seen-links", d.files)});
  d.metrics.ops = d.server->counts();
  d.service->Register(d.server->dispatcher().get());
  KFS_RETURN_IF_ERROR(d.server->dispatcher()->Complete());
  KFS_RETURN_IF_ERROR(d.server->Listen(o.listen()));
  KFS_RETURN_IF_ERROR(d.StartMonitor());
  d.StartLinks(std::move(*labels));
  d.sync = std::make_unique<SyncThread>(d.loop, d.store.get(), d.terms->in_force().sync_interval);
  d.loop.Post([&d] {
    d.second_timer = d.loop.RunEvery(std::chrono::seconds(1), [&d] { d.terms->OnTimer(); });
    d.age_timer = d.loop.RunEvery(DiskAges::kGoOnEvery, [&d] { d.GoOn(); });
  });
  KFS_RETURN_IF_ERROR(WriteAddressFile(o.address_file(), d.server->address()));
  KFS_LOG(info, "ready address={} uuid={} disks={}", d.server->address(), d.store->server_uuid(),
          d.store->disks().size());
  return {};
}

Status ChunkserverDaemon::Impl::StartMonitor() {
  if (options.metrics_listen().empty()) return {};
  monitor = std::make_unique<Monitor>(loop);
  ShowChunkserver({.metrics = &metrics,
                   .store = store.get(),
                   .pool = pool.get(),
                   .gate = gate.get(),
                   .server = server.get()},
                  monitor->metrics());
  monitor->OnHealth([this] { return Health(); });
  return monitor->Listen(options.metrics_listen());
}

Status ChunkserverDaemon::Impl::Health() const {
  if (links == nullptr || !links->registered())
    return Status(ENOTCONN, "no metaserver has registered this chunkserver; its log says why");
  for (const auto& disk : store->disks()) {
    if (!disk->healthy()) return Status(EIO, "disk " + disk->path() + " is sick and is not used");
  }
  return {};
}

void ChunkserverDaemon::Impl::MakeTerms() {
  const Tunables own{.reserve_bytes = static_cast<uint64_t>(options.reserve_bytes()),
                     .inventory_interval = std::chrono::seconds(options.inventory_interval_s()),
                     .inventory_rate = options.inventory_rate(),
                     .garbage_keep = std::chrono::seconds(options.garbage_keep_s()),
                     .sync_interval = std::chrono::milliseconds(options.sync_interval_ms())};
  terms = std::make_unique<ClusterTerms>(own, loop.clock(), *this);
}

// What leaves a disk less than half of its room is taken for a slip. Its own file's word is not doubted.
Status ChunkserverDaemon::Impl::CheckTunables(const Tunables& t) {
  if (t.reserve_bytes == static_cast<uint64_t>(options.reserve_bytes())) return {};
  for (const auto& disk : store->disks()) {
    const uint64_t capacity = disk->space().capacity;
    if (!disk->healthy() || t.reserve_bytes <= capacity / 2) continue;
    return Status(EINVAL, fmt::format("a reserve of {} MiB is more than half of its disk {} ({} MiB)",
                                      t.reserve_bytes >> 20, disk->path(), capacity >> 20));
  }
  return {};
}

void ChunkserverDaemon::Impl::Apply(const Tunables& t) {
  KFS_LOG(info,
          "cluster.options generation={} reserve={} inventory_interval_s={} inventory_rate={} sync_ms={}",
          terms->generation(), t.reserve_bytes, t.inventory_interval / std::chrono::seconds(1),
          t.inventory_rate, t.sync_interval / std::chrono::milliseconds(1));
  store->SetReserve(t.reserve_bytes);
  store->SetGarbageKeep(t.garbage_keep);
  // So that the next heartbeat tells of it. A pool that is full will look soon by itself.
  static_cast<void>(pool->Submit(
      {},
      [store = store.get()] {
        for (const auto& disk : store->disks()) {
          if (disk->healthy()) static_cast<void>(disk->RefreshSpace());
        }
      },
      [] {}));
  if (sync != nullptr) sync->SetInterval(t.sync_interval);
  if (links != nullptr) links->TunablesChanged();
}

void ChunkserverDaemon::Impl::StartLinks(Labels labels) {
  MetaserverLinks::Options o;
  o.metaservers = options.metaservers();
  o.link.credentials = credentials;
  o.link.address = options.advertise().empty() ? server->address() : options.advertise();
  o.link.instance = instance;
  o.link.labels = std::move(labels);
  o.link.dispatcher = server->dispatcher();
  links =
      std::make_unique<MetaserverLinks>(loop, store.get(), pool.get(), service.get(), std::move(o), *this);
  loop.Post([l = links.get()] { l->Start(); });
}

void ChunkserverDaemon::Impl::FillLinks(pb::HeartbeatRequest* request) {
  constexpr int kShown = 16;
  for (const ConnectionPtr& c : server->connections()) {
    if (!c->greeted || c->stream().kind() != std::string_view("plain")) continue;
    request->set_plain_links(request->plain_links() + 1);
    if (request->plain_from_size() < kShown) request->add_plain_from(c->hello.host());
  }
}

// A pool that is full: at the next registration, or the age is shown as it is at the next start.
void ChunkserverDaemon::Impl::OnTaken() {
  static_cast<void>(pool->Submit(
      {}, [a = ages.get()] { a->Taken(); }, [] {}));
}

void ChunkserverDaemon::Impl::GoOn() {
  static_cast<void>(pool->Submit(
      {}, [a = ages.get()] { a->GoOn(); }, [] {}));
}

// At once: whatever were written here from now on would be lost with this copy, or with the other. What has
// been acknowledged survives this as it survives kill -9.
void ChunkserverDaemon::Impl::OnMustEnd(const std::string& metaserver, const Status& why) {
  const std::string address = options.advertise().empty() ? server->address() : options.advertise();
  if (why.code() == Code::kOlderCopy) {
    ages->Refused();
    KFS_LOG(critical, "chunkserver.older_copy uuid={} address={} metaserver={} reason=\"{}\"",
            store->server_uuid(), address, metaserver, why.message());
  } else {
    KFS_LOG(
        critical,
        "chunkserver.runs_twice uuid={} address={} metaserver={} reason=\"{}\" next=\"this data "
        "directory is a copy of that chunkserver's, or the other way round. Stop one for good: a copy must "
        "never run\"",
        store->server_uuid(), address, metaserver, why.message());
  }
  server->Stop();  // its socket in the socket directory goes
  end();
}

void ChunkserverDaemon::OnMustEnd(std::function<void()> fn) { impl_->end = std::move(fn); }

std::string ChunkserverDaemon::address() const { return impl_->server->address(); }

bool ChunkserverDaemon::registered() const { return impl_->links != nullptr && impl_->links->registered(); }

void ChunkserverDaemon::Stop() {
  Impl& d = *impl_;
  if (d.store == nullptr) return;
  if (d.monitor != nullptr) d.monitor->Stop();
  d.second_timer.Cancel();
  d.age_timer.Cancel();
  if (d.server != nullptr) d.server->Stop();
  d.links.reset();
  d.sync.reset();
  if (d.pool != nullptr) d.pool->Stop();
  d.store->SyncChangedDisks();
  d.server.reset();
  d.service.reset();
  d.terms.reset();
  d.pool.reset();
  d.gate.reset();
  d.ages.reset();
  d.store.reset();
}

}  // namespace kfs
