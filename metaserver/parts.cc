#include "metaserver/parts.h"

#include "common/secret.h"
#include "metaserver/hosting/data_dir.h"
#include "metaserver/members/founding.h"
#include "metaserver/members/root_secret.h"

namespace kfs::meta {
namespace {

// Disks serve several reads at once; more would only take memory.
constexpr int kColdReadsAtOnce = 2;

OpenProofs ProofKeys(const Credentials& root) {
  constexpr char kFor[] = "kfs open proof";
  std::vector<std::string> keys{Hkdf(root.key(), kFor)};
  if (root.older() != nullptr) keys.push_back(Hkdf(root.older()->key(), kFor));
  return OpenProofs(std::move(keys));
}

}  // namespace

Status MetaParts::Open(const Outside& outside) {
  KFS_RETURN_IF_ERROR(PrepareDataDir(outside.files, outside.options.data_dir()));
  Result<Credentials> root = ReadRootSecret(outside.options, outside.options.create_secret(),
                                            outside.options.old_secret_file(), outside.loop.entropy());
  if (!root.ok()) return root.status();
  credentials = std::move(*root);
  Clock& clock = outside.loop.clock();
  started_wall = clock.WallNow();
  memory = std::make_unique<DbMemory>(static_cast<size_t>(outside.options.db_memory()), outside.databases);
  Result<std::unique_ptr<ClusterStore>> opened =
      ClusterStore::Open(outside.options.data_dir(), *memory, outside.loop.entropy());
  if (!opened.ok()) return opened.status();
  cluster = std::move(*opened);
  chunkservers = std::make_unique<Chunkservers>(cluster->db(), clock, outside.loop.entropy());
  chunkservers->SetKeys(credentials);
  KFS_RETURN_IF_ERROR(chunkservers->Load());
  bricks = std::make_unique<BrickPhase>(outside.loop, clock, *chunkservers);
  sync = std::make_unique<WalSync>(outside.loop);
  records_sync = std::make_unique<WalSync>(outside.loop, "kfs-records");
  cold_reads = std::make_unique<JobThread>(outside.loop, "kfs-cold", kColdReadsAtOnce);
  jobs = std::make_unique<JobThread>(outside.loop, "kfs-jobs");
  scans = std::make_unique<JobThread>(outside.loop, "kfs-scans");
  points = std::make_unique<SyncPoints>(SyncPointKey(credentials, cluster->cluster_id()));
  executor_env = std::make_unique<LoopExecutorEnv>(
      outside.loop, LoopExecutorEnv::Threads{*cold_reads, *jobs, *scans}, *points);
  executor = std::make_unique<Executor>(
      clock,
      ExecutorOptions{.session_ttl = std::chrono::seconds(outside.options.session_ttl()),
                      .session_keep = std::chrono::seconds(outside.options.session_keep()),
                      .slow_op = std::chrono::milliseconds(outside.options.slow_op_ms()),
                      .entropy = &outside.loop.entropy(),
                      .proofs = ProofKeys(credentials)},
      sync.get(), *executor_env);
  chunkservers->OnUp([executor = executor.get()](ServerId server) { executor->ChunkserverUp(server); });
  chunkservers->OnKeyChanged(
      [executor = executor.get()](ServerId server) { executor->ChunkserverKeyChanged(server); });
  return {};
}

void MetaParts::SyncRecordsOn(WalSync* thread) {
  cluster->SyncOn(thread);
  chunkservers->SyncOn(thread);
  if (member_db != nullptr) member_db->SyncOn(thread);
}

Status MetaParts::Join(const Outside& outside) {
  Clock& clock = outside.loop.clock();
  seen = std::make_shared<SeenPeers>(outside.options.data_dir() + "/seen-links", outside.files);
  keyring = std::make_shared<ClusterKeyring>(
      credentials, clock, [this] { return member == nullptr ? nullptr : &member->conf(); }, seen,
      [this] { return member == nullptr ? std::string() : member->uuid(); });
  server = std::make_unique<Server>(outside.loop, ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                                 .cluster_id = cluster->cluster_id(),
                                                                 .keyring = keyring,
                                                                 .policy = credentials.policy(),
                                                                 .seen = seen});
  KFS_RETURN_IF_ERROR(server->Listen(outside.options.listen()));
  const std::string advertised =
      AdvertisedAddress(outside.loop, outside.options.advertise(), server->address());
  member_db = std::make_unique<MemberDb>(cluster->db());
  KFS_RETURN_IF_ERROR(FoundIfNew(outside.files, outside.options.data_dir(), advertised, *cluster,
                                 member_db.get(), outside.loop.entropy()));
  member = std::make_unique<Member>(outside.loop, clock, *member_db, credentials,
                                    TestStop(outside.files, outside.options.data_dir()), server->dispatcher(),
                                    seen);

  images = std::make_unique<ImageStore>(outside.options.data_dir(), outside.files, *jobs, clock);
  KFS_RETURN_IF_ERROR(images->Open());
  image_reader = std::make_unique<ImageReader>(outside.options.data_dir(), outside.files, *jobs, clock,
                                               outside.loop.entropy());
  volumes = std::make_unique<VolumeHost>(
      VolumeHost::Options{outside.options.data_dir(), static_cast<size_t>(outside.options.cache_memory())},
      outside.files, *cluster, *memory, *executor, *chunkservers, clock, *images, *points);
  own = std::make_unique<OwnVolumes>(*member, *volumes);
  executor_env->Serve(*executor, *volumes, *own, *memory);
  mover = std::make_unique<Mover>(
      Mover::Options{outside.options.data_dir(), static_cast<uint64_t>(outside.options.move_rate())},
      outside.files, outside.loop, clock, *jobs, *member, *volumes);
  mover->Start();
  lost = std::make_unique<LostChunks>(clock, *scans, *executor,
                                      [this]() -> const pb::ClusterConf& { return member->conf(); });
  missing = std::make_unique<MissingChunks>(clock, *executor, *chunkservers, alarms);
  reach = std::make_unique<ReachCheck>(outside.loop, clock, *chunkservers, credentials);

  exchange = std::make_unique<SyncPointExchange>(clock, *points, *executor, *volumes, *chunkservers, *member);
  admission =
      std::make_unique<ChunkserverAdmission>(outside.loop, clock, *chunkservers, *member, *exchange, alarms);
  keys = std::make_unique<KeyService>(outside.loop, *server, *member, *keyring, *executor);
  view = std::make_unique<VolumeView>(*member, *volumes, *mover, *lost, *executor);
  membership = std::make_unique<Membership>(
      Membership::Options{.advertised = advertised,
                          .default_volume = outside.options.default_volume(),
                          .defaults = {static_cast<uint64_t>(outside.options.default_chunk_size()),
                                       static_cast<uint32_t>(outside.options.default_replicas())},
                          .started_wall = started_wall},
      Membership::Parts{*cluster, *server, *member, *executor, *volumes, *chunkservers, *bricks, *images,
                        *admission, *keys, *exchange, *view});
  member->Serve(*membership);
  peers = std::make_unique<PeerOps>(outside.loop, clock, *member, *membership);
  twin = std::make_unique<OwnTwin>(outside.loop, *member, *peers, advertised);
  disk = std::make_unique<DiskWatch>(outside.files, outside.options.data_dir(),
                                     static_cast<uint64_t>(outside.options.reserve_bytes()),
                                     "metaserver " + server->address(), alarms, *this);
  return membership->Begin();
}

void MetaParts::SetFull(bool full) {
  executor->SetDiskFull(full);
  images->SetDiskFull(full);
}

void MetaParts::SetHasRoom(bool there) { member_db->SetHasRoom(there); }

}  // namespace kfs::meta
