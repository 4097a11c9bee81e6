// Small files of a program's own that survive a loss of power whole: the old content or the new one. Any
// thread; waits for the disk.
#pragma once

#include <string>
#include <string_view>

#include "common/file_ops.h"
#include "common/status.h"

namespace kfs {

// Written beside it (a link there is not followed), mode 0600, made durable, renamed, and that made durable.
Status ReplaceDurably(FileOps& files, const std::string& path, std::string_view bytes);
// What is in a file, or which names a directory has, is durable.
Status SyncPath(FileOps& files, const std::string& path);

}  // namespace kfs
