// For tests that kill a member at a certain phase. Where the environment has KFS_TEST_STOP=1 and the data
// directory a file "test-stop" that says "send COMMIT", "receive LOCK" or "done UNLOCK", the process stops
// itself (SIGSTOP) just before it sends such a request, before it looks at one, or after it has answered one.
// The file is removed first: once is enough.
#pragma once

#include <string>

#include "common/file_ops.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

class TestStop {
 public:
  TestStop(FileOps& files, const std::string& data_dir);
  void At(const char* moment, const pb::PeerMessage& message) {
    if (!file_.empty()) Look(moment, message);
  }

 private:
  void Look(const char* moment, const pb::PeerMessage& message);
  FileOps* files_;
  std::string file_;
};

}  // namespace kfs::meta
