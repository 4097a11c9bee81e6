// Copies of volumes' databases that other metaservers send here, below data-dir/incoming/TRANSFER: db/ has
// the files, `manifest` says that all of them are there and durable. Loop's thread only; files are written by
// the JobThread.
//
// A whole copy may be the only one as soon as the configuration can name it, so it is removed only when the
// configuration has gone past it, or when its sender says that it is not needed. A backup may be of a state
// that the configuration has long gone past: it has kNamedWithin to be named after it has come.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/lifetime.h"
#include "metaserver/images/image_files.h"
#include "proto/cluster.pb.h"
#include "rpc/job_thread.h"

namespace kfs::meta {

class ImageStore {
 public:
  static constexpr auto kNamedWithin = std::chrono::seconds(5);

  ImageStore(std::string data_dir, FileOps& files, JobThread& jobs, Clock& clock);
  ~ImageStore();

  // Finds the whole copies, removes the others.
  Status Open();
  // One request of a transfer. `done` once.
  void Put(const pb::ImagePutRequest& request, Buffer payload, std::function<void(const Status&)> done);
  // A whole copy; null: there is none of this name.
  const pb::ImageManifest* Find(const std::string& transfer) const;
  std::string Path(const std::string& transfer) const { return Dir(transfer) + "/db"; }
  // Any thread: makes its files the directory `path`, durably. Taken is to be called then.
  Status Place(const std::string& transfer, const std::string& path) const;
  void Taken(const std::string& transfer);
  // Removes what the configuration has gone past, and transfers that nobody goes on with.
  void Sweep(const pb::ClusterConf& conf, const std::string& self);
  void SetDiskFull(bool full) { full_ = full; }

 private:
  struct Transfer;
  using Done = std::function<void(const Status&)>;
  void Begin(const std::string& name, const pb::ImagePutRequest::Begin& begin, const Done& done);
  void Piece(const std::shared_ptr<Transfer>& t, const pb::ImagePutRequest::Piece& piece, Buffer payload,
             const Done& done);
  void Finish(const std::shared_ptr<Transfer>& t, const pb::ImageManifest& manifest, const Done& done);
  void Remove(const std::string& transfer);
  std::string Dir(const std::string& transfer) const { return root_ + "/" + transfer; }

  const std::string root_;
  FileOps& files_;
  JobThread& jobs_;
  Clock& clock_;
  std::map<std::string, std::shared_ptr<Transfer>> running_;
  struct Whole {
    pb::ImageManifest manifest;
    MonoTime since;  // it has come, or was found at the start
  };
  std::map<std::string, Whole> whole_;
  bool full_ = false;
  Lifetime lifetime_;
};

}  // namespace kfs::meta
