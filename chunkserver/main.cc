// kfs-chunkserver: keeps chunks on local disks.
#include <malloc.h>
#include <sys/resource.h>

#include "chunkserver/daemon.h"
#include "common/log.h"

namespace {

void RaiseDescriptorLimit(const kfs::ChunkserverOptions& options) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const auto needed = static_cast<rlim_t>(options.open_chunks_max()) * 2 + 512;
  if (limit.rlim_cur < needed) {
    KFS_LOG(warn,
            "limits.descriptors allowed={} wanted={} advice=\"raise LimitNOFILE or lower open-chunks-max\"",
            limit.rlim_cur, needed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Buffers of 1 MiB come and go with every op: keep their pages instead of faulting them in each time.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
  mallopt(M_ARENA_MAX, 4);
  kfs::ChunkserverOptions options;
  return kfs::RunDaemon(argc, argv,
                        {.name = "kfs-chunkserver",
                         .purpose = "Keeps the chunks of a KFS cluster on local disks and serves them."},
                        options, [&options](kfs::EventLoop& loop) {
                          RaiseDescriptorLimit(options);
                          return std::make_unique<kfs::ChunkserverDaemon>(loop, options);
                        });
}
