#include "common/durable_file.h"

#include <fcntl.h>

namespace kfs {

Status ReplaceDurably(FileOps& files, const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".new";
  int err = 0;
  {
    const Fd fd(&files, files.Open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
    if (fd.get() < 0) return ErrnoStatus(-fd.get(), "cannot write " + beside);
    err = files.PwriteAll(fd.get(), bytes.data(), bytes.size(), 0);
    if (err < 0) return ErrnoStatus(-err, "cannot write " + path);
    err = files.Fsync(fd.get());
    if (err < 0) return ErrnoStatus(-err, "cannot sync " + path);
  }
  err = files.Rename(beside, path);
  if (err < 0) return ErrnoStatus(-err, "cannot replace " + path);
  return SyncPath(files, ParentOf(path));
}

Status SyncPath(FileOps& files, const std::string& path) {
  const Fd fd(&files, files.Open(path, O_RDONLY));
  const int err = fd.get() < 0 ? fd.get() : files.Fsync(fd.get());
  return err < 0 ? ErrnoStatus(-err, "cannot sync " + path) : Status();
}

}  // namespace kfs
