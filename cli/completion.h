// What may come next on a command line, for the shell (completion/kfs.bash calls `kfs --complete LINE`).
// Commands and options are those of the CLI11 tree; names of volumes, peers, ... are asked of the cluster,
// for a moment. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "proto/admin.pb.h"

namespace kfs::cli {

// The last word of `line` (which begins with the program's name) completed in every way that is known. Empty
// when nothing is: file names may do then.
std::vector<std::string> Complete(const CLI::App& app, GlobalOptions& global, const std::string& line);

// As a shell would: blanks part words, quotes and backslashes keep them. The last one is empty when `line`
// ends with a blank.
std::vector<std::string> SplitLine(const std::string& line);

// Of one kind, in the configuration that a member told. `volume` is the one named before (kVolumeOption).
std::vector<std::string> KnownNames(const pb::ConfShowReply& conf, Names kind, const std::string& volume);

}  // namespace kfs::cli
