#include "fuse/session.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/log.h"
#include "fuse/dev_fuse_transport.h"
#include "fuse/wire.h"

namespace kfs::fuse {
namespace {

// libfuse explains itself on a process-wide log; while a mount is being made its words go into the error.
thread_local std::string* words = nullptr;

void CollectLog(fuse_log_level, const char* format, va_list args) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, args);
  std::string text(line);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (words != nullptr) {
    if (!words->empty()) words->append("; ");
    words->append(text);
  } else {
    KFS_LOG(debug, "fuse.libfuse_says \"{}\"", text);
  }
}

}  // namespace

Session::~Session() {
  notifier_.reset();
  transport_.reset();
  if (session_ == nullptr) return;
  fuse_session_unmount(session_);  // does nothing but close when the kernel has already let go
  fuse_session_destroy(session_);
}

Status Session::Mount(const std::string& mountpoint, const std::string& options, std::function<void()> ready,
                      std::function<void(Status)> ended) {
  ready_ = std::move(ready);
  ended_ = std::move(ended);
  fuse_set_log_func(CollectLog);
  std::string said;
  words = &said;
  std::string program = "kfs", dash_o = "-o", opts = options;
  char* argv[] = {program.data(), dash_o.data(), opts.data(), nullptr};
  fuse_args args = FUSE_ARGS_INIT(3, argv);
  session_ = fuse_session_new(&args, &FileSystem::Ops(), sizeof(fuse_lowlevel_ops), &fs_);
  fuse_opt_free_args(&args);
  errno = 0;
  int rc = session_ == nullptr ? -1 : fuse_session_mount(session_, mountpoint.c_str());
  const int err = errno;
  words = nullptr;
  if (rc != 0) {
    if (session_ != nullptr) fuse_session_destroy(std::exchange(session_, nullptr));
    return Status(err == 0 ? EIO : err, said.empty() ? "mounting failed" : said);
  }
  const int fd = fuse_session_fd(session_);
  transport_ = std::make_unique<DevFuseTransport>(loop_, fd, *this);
  // libfuse hands its user data to both hooks. Requests are read by the transport, so the read hook is never
  // called.
  fuse_custom_io io = {};
  io.read = [](int, void*, size_t, void*) -> ssize_t {
    errno = EOPNOTSUPP;
    return -1;
  };
  io.writev = [](int, iovec* iov, int count, void* userdata) -> ssize_t {
    return static_cast<FileSystem*>(userdata)->Reply(iov, count);
  };
  fs_.OnReply([this](iovec* iov, int count) { return Reply(iov, count); });
  rc = fuse_session_custom_io(session_, &io, fd);
  if (rc != 0) return Status(EIO, "libfuse does not take our transport");
  notifier_ = std::make_unique<KernelNotifier>(
      loop_, [this](Ino ino) { fuse_lowlevel_notify_inval_inode(session_, ino.v, 0, 0); });
  fs_.OnWriteBack(
      [this](Ino ino, std::function<void()> done) { notifier_->DropPages(ino, std::move(done)); });
  transport_->Start();
  return {};
}

void Session::AfterQueue(std::function<void()> fn) {
  after_queue_.push_back(std::move(fn));
  transport_->Poke();
}

void Session::OnRequest(Message& message) {
  if (message.header().opcode == FUSE_INIT) {
    init_unique_ = message.header().unique;
    init_offered_ = OfferedFlags(message);
  }
  RewriteTmpfile(message);
  RewriteStatx(message);
  fs_.set_message(&message);
  fuse_buf buf = {};
  buf.mem = message.data;
  buf.size = message.size;
  fuse_session_process_buf(session_, &buf);
  fs_.set_message(nullptr);
}

void Session::OnForget(uint64_t nodeid, uint64_t nlookup) { fs_.nodes().Forget(Ino(nodeid), nlookup); }

void Session::OnInterrupt(uint64_t unique) { fs_.calls().Interrupt(unique); }

void Session::OnQueueEmpty() {
  for (auto& fn : std::exchange(after_queue_, {})) fn();
}

void Session::OnEnd(Status why) {
  OnQueueEmpty();  // nothing is queued any more
  ended_(std::move(why));
}

ssize_t Session::Reply(iovec* iov, int count) {
  fuse_out_header header;
  std::memcpy(&header, iov[0].iov_base, sizeof header);
  if (init_unique_ == 0 || header.unique != init_unique_) return transport_->Reply(iov, count);
  init_unique_ = 0;
  std::string flat;
  for (int i = 0; i < count; ++i) flat.append(static_cast<const char*>(iov[i].iov_base), iov[i].iov_len);
  PatchInitReply(init_offered_, kInitWanted, flat.data(), flat.size());
  if ((init_offered_ & kDirectIoAllowMmap) == 0) {
    KFS_LOG(warn,
            "fuse.no_shared_mmap the kernel is older than 6.6: shared writable mappings fail with ENODEV");
  }
  const iovec one = {flat.data(), flat.size()};
  const ssize_t n = transport_->Reply(&one, 1);
  if (n >= 0 && header.error == 0 && ready_) std::exchange(ready_, nullptr)();
  return n;
}

}  // namespace kfs::fuse
