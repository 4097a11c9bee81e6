// kfs-metaserver: keeps the namespace of volumes.
#include <malloc.h>

#include "metaserver/metaserver.h"

int main(int argc, char** argv) {
  // Few threads allocate; many arenas would only hold freed memory back.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  kfs::meta::MetaOptions options;
  return kfs::RunDaemon(
      argc, argv,
      {.name = "kfs-metaserver",
       .purpose = "Keeps the names and attributes of KFS volumes and tells clients where the "
                  "data is."},
      options,
      [&options](kfs::EventLoop& loop) { return std::make_unique<kfs::meta::MetaServer>(loop, options); });
}
