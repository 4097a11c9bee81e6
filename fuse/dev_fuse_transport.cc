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

}  // namespace

DevFuseTransport::DevFuseTransport(EventLoop& loop, int fd, RequestSink& sink)
    : loop_(loop), fd_(fd), sink_(sink) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

DevFuseTransport::~DevFuseTransport() { *alive_ = false; }

void DevFuseTransport::Start() {
  watch_ = loop_.WatchReadable(fd_, [this] { ReadBatch(); });
}

void DevFuseTransport::Poke() {
  if (poked_ || ended_) return;
  poked_ = true;
  loop_.Post([this, alive = alive_] {
    if (!*alive) return;
    poked_ = false;
    ReadBatch();
  });
}

ssize_t DevFuseTransport::Reply(const iovec* iov, int count) { return writev(fd_, iov, count); }

void DevFuseTransport::ReadBatch() {
  for (int i = 0; i < kBatchMax; ++i) {
    if (ended_) return;
    const Took took = ReadOne();
    if (took == Took::kEnd) return;
    if (took == Took::kNone) {
      sink_.OnQueueEmpty();
      return;
    }
  }
  Poke();  // more may be waiting: the next tick goes on
}

DevFuseTransport::Took DevFuseTransport::ReadOne() {
  if (payload_.size() != kPayloadSize) payload_ = Buffer(kPayloadSize);
  iovec iov[2] = {{head_, sizeof head_}, {payload_.data(), payload_.size()}};
  ssize_t n;
  do {
    n = readv(fd_, iov, 2);
    // ENOENT: the request was given up between being queued and being read.
  } while (n < 0 && (errno == EINTR || errno == ENOENT));
  if (n > 0) {
    Dispatch(static_cast<size_t>(n));
    return Took::kOne;
  }
  if (n < 0 && errno == EAGAIN) return Took::kNone;
  const int err = n < 0 ? errno : EIO;
  ended_ = true;
  watch_.reset();
  sink_.OnEnd(err == ENODEV ? Status() : ErrnoStatus(err, "reading /dev/fuse"));
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
