#include "fuse/callers.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

namespace kfs::fuse {

bool ShowsOwnPids(const std::string& self_status, int pid) {
  // The numbers in all namespaces from that of /proc inwards.
  constexpr std::string_view kField = "\nNSpid:";
  const size_t at = self_status.find(kField);
  if (at == std::string::npos) return false;
  const size_t from = at + kField.size();
  std::istringstream words(self_status.substr(from, self_status.find('\n', from) - from));
  int first = 0, second = 0;
  return words >> first && first == pid && !(words >> second);
}

Callers::Callers(const std::string& proc) {
  std::ifstream in(proc + "/self/status");
  std::ostringstream text;
  text << in.rdbuf();
  proc_is_ours_ = ShowsOwnPids(text.str(), getpid());
}

}  // namespace kfs::fuse
