// Finds out what the checks of `kfs doctor` look at. Blocks, for a bounded time; any thread.
#pragma once

#include <string>

#include "cli/doctor/surroundings.h"

namespace kfs::cli::doctor {

// `what`: a mount point, HOST[:PORT]:/VOLUME, or empty: all KFS mounts of this machine and the cluster of
// `global`. Its servers are asked all at once; those that do not answer cost a few seconds together, or
// --timeout. An error: `what` or the configuration file cannot be understood, or no KFS volume is mounted
// there (ENOENT).
// `root`: MachineFiles'.
Result<Surroundings> Gather(const GlobalOptions& global, const std::string& what,
                            const std::string& root = "");

}  // namespace kfs::cli::doctor
