#include <unistd.h>

#include <cstdlib>

#include "cli/command.h"
#include "common/credentials.h"
#include "common/options.h"
#include "rpc/address.h"

namespace kfs::cli {
namespace {

struct ClientFile : OptionSet {
  Option<std::vector<std::string>> metaservers{this, "metaservers", {}, "Metaservers, as host:port."};
  Option<std::string> secret_file{this, "secret-file", "", "File with the cluster's secret."};
  Option<std::string> tls{this, "tls", "", "Links by TCP: required, accept or off."};
};

std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t from = 0; from <= text.size();) {
    size_t comma = std::min(text.find(',', from), text.size());
    if (comma > from) parts.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  return parts;
}

}  // namespace

Status ResolveDefaults(GlobalOptions* options, const std::string& file) {
  if (const char* env = std::getenv("KFS_METASERVER"); env != nullptr && options->metaservers.empty()) {
    options->metaservers = SplitCommas(env);
  }
  if (const char* env = std::getenv("KFS_SECRET_FILE"); env != nullptr && options->secret_file.empty()) {
    options->secret_file = env;
  }
  if (const char* env = std::getenv("KFS_TLS"); env != nullptr && options->tls.empty()) options->tls = env;
  if ((options->metaservers.empty() || options->tls.empty() || options->secret_file.empty()) &&
      access(file.c_str(), F_OK) == 0) {
    ClientFile from_file;
    KFS_RETURN_IF_ERROR(from_file.LoadFile(file));
    if (options->metaservers.empty()) options->metaservers = from_file.metaservers();
    if (options->secret_file.empty()) options->secret_file = from_file.secret_file();
    if (options->tls.empty()) options->tls = from_file.tls();
  }
  if (options->metaservers.empty()) options->metaservers = {"127.0.0.1:7400"};
  if (options->secret_file.empty()) options->secret_file = "/etc/kfs/secret";
  if (options->tls.empty()) options->tls = TlsModeName(TlsMode::kRequired);
  if (options->timeout_s == 0) options->timeout_s = kReadTimeoutS;
  return {};
}

Status CheckMetaservers(const GlobalOptions& options) {
  for (const std::string& address : options.metaservers) {
    if (address.starts_with("unix:")) continue;
    std::string host;
    uint16_t port = 0;
    KFS_RETURN_IF_ERROR(SplitAddress(address, kMetaserverPort, &host, &port));
  }
  return {};
}

}  // namespace kfs::cli
