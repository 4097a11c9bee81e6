// Small text files that are named by an operator: pid files, address files. What is there and no regular file
// (a FIFO, /dev/null, /dev/stderr) is written to and left where it is; a symbolic link is followed. Any
// thread.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace kfs {

// A regular file is replaced in one step: a reader sees the old text or the new one. Does not wait for a
// FIFO's reader: ENXIO when there is none.
Status WriteTextFile(const std::string& path, std::string_view text);

// Removes a regular file; anything else, also one that is not there, is left alone.
void RemoveRegularFile(const std::string& path);

}  // namespace kfs
