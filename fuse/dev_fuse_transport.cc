#include "fuse/dev_fuse_transport.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/limits.h"
#include "common/log.h"
#include "fuse/wire.h"

namespace kfs::fuse {
namespace {

// The kernel refuses to hand out requests to a buffer that could not hold its largest one: 1 MiB of data and
// the headers.
constexpr size_t kPayloadSize = kIoSizeMax + 4096;
// So many requests are taken before answers (and other connections) get their turn; a tick then ends.
constexpr int kBatchMax = 64;
// So often in a row a request may be lost for want of memory before that is the end of the mount.
constexpr int kNoMemoryMax = 1000;
constexpr auto kNoMemoryPause = std::chrono::milliseconds(10);

}  // namespace

DevFuseTransport::DevFuseTransport(EventLoop& loop, int fd, RequestSink& sink)
    : loop_(loop), fd_(fd), sink_(sink) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

DevFuseTransport::~DevFuseTransport() { lifetime_.End(); }

void DevFuseTransport::Start() {
  watch_ = loop_.WatchReadable(fd_, [this] { ReadBatch(); });
}

void DevFuseTransport::Poke() {
  if (poked_ || ended_) return;
  poked_ = true;
  loop_.Post(lifetime_.While([this] {
    poked_ = false;
    ReadBatch();
  }));
}

ssize_t DevFuseTransport::Reply(const iovec* iov, int count) { return writev(fd_, iov, count); }

void DevFuseTransport::ReadBatch() {
  for (int i = 0; i < kBatchMax; ++i) {
    if (ended_) return;
    const Took took = ReadOne();
    if (took == Took::kEnd || took == Took::kPause) return;
    if (took == Took::kNone) {
      sink_.OnQueueEmpty();
      return;
    }
  }
  Poke();  // more may be waiting: the next tick goes on
}

const char* ExplainReadError(int err) {
  switch (err) {
    case ENODEV:
      return "unmounted, or cut off through /sys/fs/fuse/connections";
    case ECONNABORTED:
      return "cut off through /sys/fs/fuse/connections";
    case ENOMEM:
    case EFAULT:
      return "no memory to read requests into";
    case EPERM:
      return "the descriptor belongs to no mount";
    case EINVAL:
      return "the kernel's requests do not fit into the buffer";
    default:
      return "not an error that the kernel is known to give";
  }
}

DevFuseTransport::Took DevFuseTransport::ReadOne() {
  if (payload_.size() != kPayloadSize) payload_ = Buffer(kPayloadSize);
  iovec iov[2] = {{head_, sizeof head_}, {payload_.data(), payload_.size()}};
  ssize_t n;
  do {
    n = readv(fd_, iov, 2);
    // ENOENT: the request was given up while it was being read.
  } while (n < 0 && (errno == EINTR || errno == ENOENT));
  if (n > 0) {
    no_memory_ = 0;
    Dispatch(static_cast<size_t>(n));
    return Took::kOne;
  }
  const int err = n < 0 ? errno : EIO;
  if (err == EAGAIN) return Took::kNone;
  if ((err == ENOMEM || err == EFAULT) && no_memory_ < kNoMemoryMax) {
    // The kernel has ended that one request with EIO, and goes on.
    if (no_memory_++ == 0) KFS_LOG(error, "fuse.request_lost errno={} {}", err, ExplainReadError(err));
    pause_ = loop_.RunAfter(kNoMemoryPause, [this] { Poke(); });
    return Took::kPause;
  }
  ended_ = true;
  watch_.reset();
  sink_.OnEnd(err == ENODEV ? Status()
                            : ErrnoStatus(err, std::string("reading /dev/fuse: ") + ExplainReadError(err)));
  return Took::kEnd;
}

void DevFuseTransport::Dispatch(size_t size) {
  fuse_in_header header;
  if (size < sizeof header) return;
  std::memcpy(&header, head_, sizeof header);
  if (header.opcode == FUSE_WRITE && size >= sizeof head_) {
    Message message{head_, sizeof head_, &payload_, size - sizeof head_};
    sink_.OnRequest(message);
    return;
  }
  whole_.resize(size);
  const size_t in_head = std::min(size, sizeof head_);
  std::memcpy(whole_.data(), head_, in_head);
  if (size > in_head) std::memcpy(whole_.data() + in_head, payload_.data(), size - in_head);
  Message message{whole_.data(), size, nullptr, 0};
  switch (header.opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
      ForEachForget(message, [this](uint64_t nodeid, uint64_t n) { sink_.OnForget(nodeid, n); });
      return;
    case FUSE_INTERRUPT:
      if (auto unique = InterruptedUnique(message)) sink_.OnInterrupt(*unique);
      return;
    default:
      sink_.OnRequest(message);
  }
}

}  // namespace kfs::fuse
