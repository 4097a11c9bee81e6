// Sends the files of a database to another metaserver, a piece at a time, at a bounded rate. Loop's thread
// only; files are read by the JobThread.
//
//   Begin -> SendTables (of a checkpoint, while the volume is served; again and again) -> SendAll (nobody
//   writes any more) -> Finish
//
// Each `done` comes once, in a bounded time after the last piece has; never from within the call. None comes
// after the sender is destroyed.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/lifetime.h"
#include "metaserver/images/image_files.h"
#include "rpc/job_thread.h"
#include "rpc/net_client.h"

namespace kfs::meta {

class ImageSender {
 public:
  using Done = std::function<void(const Status&)>;
  // `bytes_per_s`: of SendTables; what keeps callers waiting is sent as fast as it goes.
  ImageSender(FileOps& files, EventLoop& loop, JobThread& jobs, std::shared_ptr<NetClient> to,
              std::string transfer, uint64_t bytes_per_s);
  ~ImageSender() { lifetime_.End(); }

  void Begin(uint32_t volume, uint64_t bytes, Done done);
  void SendTables(const std::string& dir, Done done);
  void SendAll(const std::string& dir, Done done);
  // `about`: all but the files.
  void Finish(pb::ImageManifest about, Done done);
  // The receiver may forget it; `done` when it has answered, or has not in time. The link is handed over: it has to
  // last until then, this need not.
  std::shared_ptr<NetClient> Drop(std::function<void()> done);

  uint64_t sent() const { return sent_; }
  uint64_t last_pass() const { return last_pass_; }  // bytes that the last SendTables had to send

 private:
  struct Reading {
    std::string dir;
    std::deque<pb::ImageFile> files;
    uint64_t offset = 0;
    std::shared_ptr<Sha256> sum;
    bool paced = false;
    Done done;
  };
  void Send(const std::string& dir, bool all, Done done);
  void Next();
  void SendPiece(Buffer bytes);
  void Ask(const pb::ImagePutRequest& request, Slices payload, Done done);
  void End(const Status& s);

  FileOps& files_;
  EventLoop& loop_;
  JobThread& jobs_;
  std::shared_ptr<NetClient> to_;
  const std::string transfer_;
  const uint64_t bytes_per_s_;
  Reading reading_;
  std::map<std::string, pb::ImageFile> there_;  // what the receiver has, by name
  std::map<std::string, pb::ImageFile> last_;   // files of the last pass
  uint64_t sent_ = 0, last_pass_ = 0;
  MonoTime next_at_{};
  EventLoop::Timer timer_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta
