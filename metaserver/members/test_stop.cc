#include "metaserver/members/test_stop.h"

#include <csignal>
#include <cstdlib>

#include "common/log.h"

namespace kfs::meta {

TestStop::TestStop(FileOps& files, const std::string& data_dir) : files_(&files) {
  const char* wanted = std::getenv("KFS_TEST_STOP");
  if (wanted != nullptr && std::string(wanted) == "1") file_ = data_dir + "/test-stop";
}

void TestStop::Look(const char* moment, const pb::PeerMessage& message) {
  if (!message.has_request()) return;
  std::string wanted;
  if (files_->ReadFile(file_, 100, &wanted) < 0) return;
  wanted = wanted.substr(0, wanted.find('\n'));
  if (wanted != std::string(moment) + " " + pb::Phase_Name(message.request().phase())) return;
  (void)files_->Unlink(file_);
  KFS_LOG(warn, "test.stopped at=\"{}\"", wanted);
  raise(SIGSTOP);
}

}  // namespace kfs::meta
