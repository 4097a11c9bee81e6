#include "metaserver/members/test_stop.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "common/log.h"

namespace kfs::meta {

TestStop::TestStop(const std::string& data_dir) {
  const char* wanted = std::getenv("KFS_TEST_STOP");
  if (wanted != nullptr && std::string(wanted) == "1") file_ = data_dir + "/test-stop";
}

void TestStop::Look(const char* moment, const pb::PeerMessage& message) {
  if (!message.has_request()) return;
  std::string wanted;
  if (!std::getline(std::ifstream(file_), wanted)) return;
  if (wanted != std::string(moment) + " " + pb::Phase_Name(message.request().phase())) return;
  unlink(file_.c_str());
  KFS_LOG(warn, "test.stopped at=\"{}\"", wanted);
  raise(SIGSTOP);
}

}  // namespace kfs::meta
