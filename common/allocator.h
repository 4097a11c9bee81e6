// Memory that a burst has taken goes back to the system. Programs that run for long link kfs_allocator,
// jemalloc: it returns what is free page by page from a thread of its own, while others allocate. (The C
// library's malloc keeps what is freed; told to trim it, it holds the lock that every allocation wants until
// it is through: three seconds of a metaserver's loop after a volume of a million inodes was closed.)
#pragma once

#include <cstdint>

namespace kfs {

// Resident memory of this process, in bytes.
uint64_t ResidentBytes();

// From now on, in this process: a child that is forked later has to say so itself. REQUIRES: signals that the
// process minds are blocked by now. Does nothing in programs that do not link kfs_allocator.
void ReturnFreedMemory();

}  // namespace kfs
