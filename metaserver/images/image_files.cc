#include "metaserver/images/image_files.h"

#include <fcntl.h>

#include <algorithm>
#include <cctype>

namespace kfs::meta {
namespace {

constexpr size_t kNameMax = 100;

}  // namespace

bool NeverChanges(std::string_view name) { return name.ends_with(".sst"); }

bool GoodImageName(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

Result<std::vector<pb::ImageFile>> ListImage(FileOps& ops, const std::string& dir) {
  std::vector<std::string> names;
  if (const int err = ops.List(dir, &names); err < 0) return ErrnoStatus(-err, "cannot list " + dir);
  std::sort(names.begin(), names.end());
  std::vector<pb::ImageFile> out;
  for (const std::string& name : names) {
    // The lock and what RocksDB tells people.
    if (name == "LOCK" || name == "LOG" || name.starts_with("LOG.old")) continue;
    struct stat st {};
    const int err = ops.Stat(dir + "/" + name, &st);
    if (err < 0 && err != -ENOENT) return ErrnoStatus(-err, "cannot list " + dir);
    if (err < 0 || !S_ISREG(st.st_mode)) continue;
    pb::ImageFile file;
    file.set_name(name);
    file.set_size(static_cast<uint64_t>(st.st_size));
    out.push_back(std::move(file));
  }
  return out;
}

Result<Buffer> ReadPiece(FileOps& ops, const std::string& path, uint64_t offset) {
  const Fd fd(&ops, ops.Open(path, O_RDONLY));
  if (fd.get() < 0) return ErrnoStatus(-fd.get(), "cannot read " + path);
  Buffer out(kImagePiece);
  const ssize_t n = ops.PreadAll(fd.get(), out.data(), out.size(), offset);
  if (n < 0) return ErrnoStatus(static_cast<int>(-n), "cannot read " + path);
  out.Shrink(static_cast<size_t>(n));
  return out;
}

Status WritePiece(FileOps& ops, const std::string& path, uint64_t offset, std::string_view bytes) {
  const Fd fd(&ops, ops.Open(path, O_WRONLY | O_CREAT | (offset == 0 ? O_TRUNC : 0)));
  int err = std::min(fd.get(), 0);
  if (err == 0) err = ops.PwriteAll(fd.get(), bytes.data(), bytes.size(), offset);
  return err < 0 ? ErrnoStatus(-err, "cannot write " + path) : Status();
}

}  // namespace kfs::meta
