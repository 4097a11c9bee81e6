#include "cli/arguments.h"

#include <CLI/CLI.hpp>

namespace kfs::cli {

void AddVolumeArgument(CLI::App* command, GlobalOptions& global, std::string* name) {
  CLI::Option* option = command->add_option("NAME", *name, "The volume.")->required()->type_name("");
  global.names[option] = Names::kVolume;
}

namespace {

constexpr char kHowPeersAreNamed[] =
    ": HOST, HOST:PORT, or the first letters of its uuid, as long as only one fits.";

void NamesPeers(CLI::Option* option, GlobalOptions& global) {
  option->required()->type_name("");
  global.names[option] = Names::kPeer;
}

}  // namespace

void AddPeerArgument(CLI::App* command, GlobalOptions& global, std::string* peer, const std::string& what) {
  NamesPeers(command->add_option("PEER", *peer, what + kHowPeersAreNamed), global);
}

void AddPeersArgument(CLI::App* command, GlobalOptions& global, std::vector<std::string>* peers) {
  NamesPeers(command->add_option("PEER", *peers, std::string("A metaserver") + kHowPeersAreNamed), global);
}

void AddChunkserverArgument(CLI::App* command, GlobalOptions& global, std::string* id) {
  CLI::Option* option =
      command
          ->add_option("ID", *id,
                       "The chunkserver: its number, HOST, HOST:PORT, or the first letters of its "
                       "uuid, as long as only one fits.")
          ->required()
          ->type_name("");
  global.names[option] = Names::kChunkserver;
}

void AddLabelOption(CLI::App* command, std::vector<std::string>* labels) {
  command
      ->add_option(
          "--label", *labels,
          "A label; may be repeated. A chunkserver's host and rack are its failure domains, any other "
          "is for people.")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false)
      ->take_all();
}

void AddYes(CLI::App* command, bool* yes) { command->add_flag("--yes", *yes, "Do not ask."); }

}  // namespace kfs::cli
