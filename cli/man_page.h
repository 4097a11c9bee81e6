// Man pages made from the texts that --help prints, so that the two cannot differ. Any thread.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace kfs::cli {

// The page `name` in roff: "kfs" (section 1: every command but mount), "kfs-volume", ... (section 1: a
// group), "kfs-mount" and "mount.kfs" (section 8). Empty when there is no such page.
std::string ManPage(CLI::App& app, const std::string& name);

// A daemon's page (section 8) from what `<program> --sample-config` prints: every option with its sentence
// and default.
std::string DaemonManPage(const std::string& program, const std::string& sample_config);

}  // namespace kfs::cli
