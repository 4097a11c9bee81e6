// An image: the files of a volume's database. Functions that work on the disk, for any thread but the loop's.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/buffer.h"
#include "common/file_ops.h"
#include "common/limits.h"
#include "common/sha256.h"
#include "common/status.h"
#include "proto/image.pb.h"

namespace kfs::meta {

// Whoever sends or reads one and is not heard of for so long has given up.
constexpr auto kImageIdle = std::chrono::minutes(2);

// Names and sizes of the files that are needed to open the database in `dir`.
Result<std::vector<pb::ImageFile>> ListImage(FileOps& ops, const std::string& dir);
// Tables: once written they never change, and their names are never used again.
bool NeverChanges(std::string_view name);
// A file of an image, and nothing else below a directory.
bool GoodImageName(std::string_view name);

// At most kImagePiece bytes; fewer only at the end of the file.
Result<Buffer> ReadPiece(FileOps& ops, const std::string& path, uint64_t offset);
// At offset 0 the file is made anew.
Status WritePiece(FileOps& ops, const std::string& path, uint64_t offset, std::string_view bytes);

}  // namespace kfs::meta
