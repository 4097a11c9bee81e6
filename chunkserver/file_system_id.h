// Which file system a directory lies on, in words that are the same for everybody who has directories on it,
// in other processes and containers of the machine too, and for nobody else: so that its space is counted
// once. Any thread; blocks on the disk.
#pragma once

#include <string>

namespace kfs {

// Of an open directory. Empty when it cannot be told: such a directory counts for itself.
std::string FileSystemId(int fd);

}  // namespace kfs
