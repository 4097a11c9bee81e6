// Copies of volumes' databases for whoever makes a backup: taken while the volume is served, read a piece at
// a time. Loop's thread only; files are read by the JobThread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/lifetime.h"
#include "metaserver/images/image_files.h"
#include "metaserver/store/db.h"
#include "rpc/job_thread.h"

namespace kfs::meta {

class ImageReader {
 public:
  ImageReader(std::string data_dir, FileOps& files, JobThread& jobs, Clock& clock, Entropy& entropy);
  ~ImageReader() { lifetime_.End(); }

  using OpenDone = std::function<void(const Status&, const pb::ImageManifest&)>;
  // `about`: all but transfer, files and time.
  void Open(Db* db, pb::ImageManifest about, OpenDone done);
  using ReadDone = std::function<void(const Status&, Buffer piece)>;
  void Read(const pb::ImageGetRequest::Read& request, ReadDone done);
  void Close(const std::string& transfer);
  // Closes those that nobody reads any more.
  void Sweep();

 private:
  struct Copy {
    std::string dir;
    MonoTime last_read;
  };
  const std::string root_;
  FileOps& files_;
  JobThread& jobs_;
  Clock& clock_;
  Entropy& entropy_;
  std::map<std::string, Copy> copies_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta
