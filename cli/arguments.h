// Arguments that several commands take, with one sentence each, and what a shell completes them with. One
// thread.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace kfs::cli {

// Required. The variables stay valid until the command has run.
void AddVolumeArgument(CLI::App* command, GlobalOptions& global, std::string* name);
void AddPeerArgument(CLI::App* command, GlobalOptions& global, std::string* peer,
                     const std::string& what = "The metaserver");
void AddPeersArgument(CLI::App* command, GlobalOptions& global, std::vector<std::string>* peers);
void AddChunkserverArgument(CLI::App* command, GlobalOptions& global, std::string* id);
// --label NAME=VALUE, may be repeated.
void AddLabelOption(CLI::App* command, std::vector<std::string>* labels);
void AddYes(CLI::App* command, bool* yes);

}  // namespace kfs::cli
