// Which volumes this metaserver serves: opens, makes, closes and deletes their databases as the configuration
// says. Loop's thread only.
//
// A volume that is in the configuration with this member as its owner is opened. Its database is made only
// when it certainly has never been there: a member that lost its disk must not serve an empty volume, whose
// chunks would all be garbage.
//
//   volume_host.cc     what the configuration says is done
//   volume_handing.cc  those that are kept closed, to be copied
//   volume_opening.h   what opening is
//   volume_jobs.h      where it is done: opening, closing and removing take as long as a disk takes
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"
#include "metaserver/hosting/sync_points.h"
#include "metaserver/hosting/volume_jobs.h"
#include "metaserver/hosting/volume_opening.h"
#include "metaserver/images/image_store.h"
#include "metaserver/store/cluster_store.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

class VolumeHost {
 public:
  struct Options {
    std::string data_dir;
    size_t cache_bytes = 0;
  };
  VolumeHost(Options options, FileOps& files, ClusterStore& cluster, DbMemory& memory, Executor& executor,
             Chunkservers& chunkservers, Clock& clock, ImageStore& images, const SyncPoints& points);
  ~VolumeHost();

  // From now on Apply returns before volumes that are to be served are open, and others closed: threads do
  // it, which may take as long as their logs are to be replayed, and the others are served meanwhile. `post`:
  // to the loop.
  void UseThreads(std::function<void(std::function<void()>)> post, std::unique_ptr<Workers> workers);
  void UseThreads(EventLoop& loop);
  // Once none is being opened or closed (any more); whether it could be is for Trouble to say.
  void WhenSettled(std::function<void()> done);
  // Ends the threads; what they have opened is closed.
  void StopThreads();

  // Makes what is open agree with the configuration. A volume that cannot be opened is named in Trouble();
  // the first such error is given back, but for damage: what is damaged is restored by a metaserver that
  // runs; with a thread, Trouble alone tells. `self` and `incarnation`: this member.
  Status Apply(const pb::ClusterConf& conf, const std::string& self, uint64_t incarnation);
  // Why a volume is not served here, for a client that asks for it.
  Status WhyNotServed(const pb::ClusterConf& conf, const std::string& self, const std::string& name) const;
  // OK: none.
  Status Trouble(VolumeId id) const;
  // Deleted ones whose files could not be removed yet.
  const std::map<VolumeId, Status>& undeleted() const { return undeleted_; }
  // Closes it if its database has been found damaged, or its log has failed. What is damaged stays closed
  // until it is stopped, and may be restored and started then; what has a log that failed stays closed as
  // long as the process lives. REQUIRES: not within an executor's call.
  void CloseDamaged(VolumeId id);
  // Its log has: see CloseDamaged.
  bool LogFailed(VolumeId id) const { return !memory_.ClosedForGood(Path(id)).ok(); }
  // The same when somebody has heard of a later state of it than it was opened with.
  void CloseOlder(VolumeId id);

  // ---- handing over (mover.h)
  // Null: it is not open.
  Db* OpenDb(VolumeId id) const;
  // Closes it, and keeps it closed; `why` is what callers are told. `closed`: its files do not change any
  // more. Unhold lets the next Apply open it.
  void Hold(VolumeId id, const Status& why, std::function<void()> closed);
  // The same of a volume that is stopped, with its database, to be copied; `held` gets it, and after an error
  // nothing is held. EBUSY: it is held already.
  void HoldStopped(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation,
                   const Status& why, std::function<void(Result<std::unique_ptr<Db>>)> held);
  // The same of one that was left here by a member that the cluster has given up: another one's, or nobody's,
  // by now. Nothing of it is changed. ENOENT: there is none.
  void HoldLeft(const std::string& name, const std::string& cluster_id, const Status& why,
                std::function<void(VolumeId, Result<std::unique_ptr<Db>>)> held);
  // `db`: what HoldStopped or HoldLeft gave, if it is still open.
  void Unhold(VolumeId id, std::unique_ptr<Db> db = nullptr);
  // Its database does not change from here until the configuration has decided on the transfer. REQUIRES: it
  // is closed. `done` once that is durable. An Unseal that is lost with the power is found out again (Mover::OnTimer).
  void Seal(VolumeId id, const std::string& transfer, uint64_t epoch,
            std::function<void(const Status&)> done);
  void Unseal(VolumeId id);
  // Whether it is still sealed at the configuration's epoch.
  bool IsSealed(const pb::VolumeConf& v) const;

  std::string Path(VolumeId id) const;

 private:
  // A volume that is being opened on a thread, which alone touches it until Opened.
  struct UnderWay {
    VolumeOpening opening;
    Result<std::unique_ptr<Volume>> volume = Status(EAGAIN, "it is being opened");
    uint64_t generation = 0;  // of the configuration that asked for it
    MonoTime began{};
  };
  Status Open(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation);
  VolumeOpening OpeningOf(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation) const;
  // Any thread.
  Result<std::unique_ptr<Volume>> OpenVolume(VolumeOpening* opening, uint64_t seed) const;
  static Status HandedOver(const pb::VolumeConf& v);
  Status Serve(const VolumeOpening& opening, Result<std::unique_ptr<Volume>> volume);
  // To the cluster's store, and to that of copies.
  void Known(const VolumeOpening& opening, std::function<void()> durable);
  void Begin(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation);
  void Opened(const std::shared_ptr<UnderWay>& opened);
  // Once it is known to be here, if it is.
  void TakeOver(const std::shared_ptr<UnderWay>& opened);
  const char* EventOf(VolumeId id, const Status& s) const;
  void Failed(const pb::VolumeConf& v, const Status& s, const std::map<VolumeId, Status>& before);
  // On a thread, if there are any; else at once.
  void Do(VolumeId id, std::function<Status()> work, std::function<void(const Status&)> done);
  // Closes what is open of it, a store or a database; maybe null.
  void Close(VolumeId id, std::shared_ptr<void> open);
  void Delete(VolumeId id);
  Status Deleted(VolumeId id, Status s);
  // What the configuration said last, when something that was in its way has ended.
  void ApplyAgain();
  void TellIfSettled();

  const Options options_;
  FileOps& files_;
  ClusterStore& cluster_;
  DbMemory& memory_;
  Executor& executor_;
  Chunkservers& chunkservers_;
  Clock& clock_;
  ImageStore& images_;
  const SyncPoints& points_;
  std::map<VolumeId, Status> trouble_;
  // Found damaged, or older than others have heard: not opened before they are stopped.
  std::map<VolumeId, Status> unfit_;
  std::map<VolumeId, Status> held_;
  std::map<VolumeId, Status> undeleted_;
  struct Applied {
    pb::ClusterConf conf;
    std::string self;
    uint64_t incarnation = 0;
  };
  Applied applied_;                   // last; while there are threads
  std::unique_ptr<VolumeJobs> jobs_;  // null: everything is done at once
  std::map<VolumeId, std::shared_ptr<UnderWay>> opening_;
  std::set<VolumeId> deleting_;
  size_t closing_ = 0;
  std::vector<std::function<void()>> when_settled_;
};

}  // namespace kfs::meta
