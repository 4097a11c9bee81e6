// Log lines are events with fields: KFS_LOG(info, "chunk.version_bumped chunk={} from={} to={}", ...).
// One line an event, to stderr or to the file given to InitLog. Secrets are never logged.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "common/status.h"

namespace kfs {

// Sets the process's log: `file` empty means stderr; `level` is trace, debug, info, warn, error or off.
// A later ReopenLog (SIGHUP, log rotation) opens the file anew.
Status InitLog(const std::string& program, const std::string& file, const std::string& level);
void ReopenLog();

}  // namespace kfs

#define KFS_LOG(level, ...) ::spdlog::level(__VA_ARGS__)
