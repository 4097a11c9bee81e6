// What `kfs doctor` is asked to look at: which mounts, which servers, with which key.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/local_mounts.h"
#include "rpc/local_socket.h"

namespace kfs::cli::doctor {

struct Wanted {
  GlobalOptions options;  // ResolveDefaults has been there
  std::string volume;     // empty: any
  std::string socket_dir = kSocketDir;
};

// `what`: a mount point, HOST[:PORT]:/VOLUME, or empty: all mounts. `mounts`, all of this machine, keeps those
// that are meant. Where the command line says nothing, a mount that root or this user has made does. Errors
// as of Gather. Blocks for files only.
Result<Wanted> FindWanted(const GlobalOptions& global, const std::string& what,
                          std::vector<LocalMount>* mounts);

}  // namespace kfs::cli::doctor
