// Telling the service manager that has started this process how it stands: systemd's Type=notify.
//
// Source: sd_notify(3), "Notes", which has the same few lines, so that no daemon needs libsystemd for them.
#pragma once

#include <string_view>

#include "common/status.h"

namespace kfs {

// "READY=1", "STOPPING=1". OK when nobody wants to know; an error is of no consequence but for a log.
Status TellServiceManager(std::string_view state);

}  // namespace kfs
