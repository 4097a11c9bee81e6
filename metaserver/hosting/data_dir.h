// A metaserver's data directory, before anything in it is opened.
#pragma once

#include <string>

#include "common/file_ops.h"
#include "common/status.h"

namespace kfs::meta {

// Makes it, or says why it is not to be used: it belongs to somebody else, or is so full that opening the
// database would fail.
Status PrepareDataDir(FileOps& files, const std::string& dir);

}  // namespace kfs::meta
