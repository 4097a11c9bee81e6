#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "rpc/address.h"
#include "rpc/asio_loop.h"
#include "rpc/byte_stream.h"
#include "rpc/stall.h"

namespace kfs {
namespace {

namespace asio = boost::asio;

Status StatusOf(const boost::system::error_code& error) {
  return Status(error.value() > 0 ? error.value() : EIO, error.message());
}

class Socket : public ByteStream {
 public:
  Socket(EventLoop& loop, int fd)
      : descriptor_(AsioContext(loop), fd),
        peer_(PeerAddress(fd)),
        kind_(peer_.starts_with("unix:") ? "unix" : "plain") {}

  void Read(const iovec (&into)[2], User& user, std::shared_ptr<void> keep) override {
    const std::array<asio::mutable_buffer, 2> buffers{
        asio::mutable_buffer(into[0].iov_base, into[0].iov_len),
        asio::mutable_buffer(into[1].iov_base, into[1].iov_len)};
    descriptor_.async_read_some(
        buffers, [&user, keep = std::move(keep)](const boost::system::error_code& error, size_t n) {
          if (error == asio::error::operation_aborted) return;
          TickBegins();
          user.OnRead(error && error != asio::error::eof ? StatusOf(error) : Status(), error ? 0 : n);
        });
  }

  ssize_t Write(const iovec* from, int count) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(from);
    message.msg_iovlen = static_cast<size_t>(count);
    for (;;) {
      const ssize_t n = sendmsg(descriptor_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) return n;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != EINTR) return -errno;
    }
  }

  void WaitWritable(User& user, std::shared_ptr<void> keep) override {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                           [&user, keep = std::move(keep)](const boost::system::error_code& error) {
                             if (error == asio::error::operation_aborted) return;
                             TickBegins();
                             user.OnWritable(error ? StatusOf(error) : Status());
                           });
  }

  void Close() override {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
  }

  const std::string& peer_address() const override { return peer_; }
  const char* kind() const override { return kind_; }

 private:
  asio::posix::stream_descriptor descriptor_;
  const std::string peer_;
  const char* const kind_;
};

}  // namespace

std::unique_ptr<ByteStream> SocketStream(EventLoop& loop, int fd) {
  return std::make_unique<Socket>(loop, fd);
}

}  // namespace kfs
