#include "features.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "geometry.h"

namespace kfs::fsx {
namespace {

bool Missing(int result) {
  return result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == ENODEV);
}

}  // namespace

uint32_t ProbeFeatures(const std::string& dir, const Options& options) {
  std::string path = dir + "/fsx.probe";
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || ftruncate(fd, 4 * kPage) != 0) {
    std::fprintf(stderr, "kfs-fsx: cannot make a file in %s: %s\n", dir.c_str(), std::strerror(errno));
    std::exit(1);
  }
  uint32_t found = 0;
  bool complete = true;
  auto note = [&](uint32_t feature, bool missing, const char* name) {
    if (!missing) found |= feature;
    if (missing)
      std::fprintf(stderr, "kfs-fsx: %s is not supported in %s: %s\n", name, dir.c_str(),
                   std::strerror(errno));
    complete &= !missing;
  };
  note(kPunchHole, Missing(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kPage)),
       "punch hole");
  note(kZeroRange, Missing(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, kPage)), "zero range");
  note(kKeepSize, Missing(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, kPage)), "fallocate keep-size");
  note(kAllocate, Missing(fallocate(fd, 0, 0, kPage)), "fallocate");
  off64_t from = 0, to = static_cast<off64_t>(2 * kPage);
  note(kCopyRange, Missing(static_cast<int>(copy_file_range(fd, &from, fd, &to, kPage, 0))),
       "copy_file_range");
  int direct = open(path.c_str(), O_RDWR | O_DIRECT);
  note(kDirect, Missing(direct), "O_DIRECT");
  if (direct >= 0) close(direct);
  note(kSeekData, Missing(static_cast<int>(lseek(fd, 0, SEEK_HOLE))), "SEEK_HOLE");
  if (options.mmap) {
    void* map = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    note(kMap, map == MAP_FAILED, "a shared writable mmap");
    if (map != MAP_FAILED) munmap(map, kPage);
  }
  close(fd);
  unlink(path.c_str());
  if (options.strict && !complete) std::exit(1);
  return found;
}

}  // namespace kfs::fsx
