// What carries the kernel's requests. The classic transport reads /dev/fuse; another over io_uring fits
// behind the same interface: a whole request message comes in, the reply goes out by the unique id in its
// header, from any thread. FORGET and INTERRUPT need no reply and are not requests: they come apart.
#pragma once

#include <linux/fuse.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "common/buffer.h"
#include "common/status.h"

namespace kfs::fuse {

// One request, header first and contiguous. It lives until OnRequest returns.
struct Message {
  char* data = nullptr;  // fuse_in_header (aligned as one), then the operation's own arguments
  size_t size = 0;
  // FUSE_WRITE only: the bytes to write, which do not follow the arguments in `data`. OnRequest may take
  // them.
  Buffer* payload = nullptr;
  size_t payload_size = 0;
  // The operation that it was, where libfuse is shown another in its place (wire.h); else 0.
  uint32_t shown_for = 0;

  fuse_in_header& header() const { return *reinterpret_cast<fuse_in_header*>(data); }
  char* body() const { return data + sizeof(fuse_in_header); }
  size_t body_size() const { return size - sizeof(fuse_in_header); }
};

// Who serves the requests. Called on the transport's thread (the loop's), never concurrently.
class RequestSink {
 public:
  virtual ~RequestSink() = default;
  virtual void OnRequest(Message& message) = 0;
  virtual void OnForget(uint64_t nodeid, uint64_t nlookup) = 0;
  virtual void OnInterrupt(uint64_t unique) = 0;
  // Everything that the kernel had queued has been handed over.
  virtual void OnQueueEmpty() = 0;
  // Nothing will come any more; OK: unmounted.
  virtual void OnEnd(Status why) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Begins to hand requests to the sink.
  virtual void Start() = 0;
  // Looks for requests soon, although no wake-up came: OnQueueEmpty follows.
  virtual void Poke() = 0;
  // iov[0] begins with a fuse_out_header. Any thread. As writev(2), errors as -1 and errno: ENOENT means that
  // nobody waits for this reply any more.
  virtual ssize_t Reply(const iovec* iov, int count) = 0;
};

}  // namespace kfs::fuse
