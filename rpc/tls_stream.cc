#include "rpc/tls_stream.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "rpc/address.h"
#include "rpc/event_loop_impl.h"
#include "rpc/frame.h"
#include "rpc/stall.h"
#include "rpc/tls_context.h"

namespace kfs {
namespace {

namespace asio = boost::asio;

constexpr size_t kRecord = 16u << 10;      // plain bytes of a TLS record, at most
constexpr size_t kFirstInput = 2u << 10;   // until the other end has proved itself: enough for a handshake
constexpr size_t kInput = 64u << 10;       // afterwards
constexpr size_t kOutputMax = 256u << 10;  // encrypted and not sent
// Handshakes cost hundreds of microseconds; a crowd of them shall not hold up the other links.
constexpr int kHandshakesPerTick = 8;
// TLS messages after the handshake (key updates) that one connection may send: we never ask for any.
constexpr int kMessagesMax = 16;

std::string Psk(const std::string& key, std::string_view identity) {
  return Hkdf(key, "kfs tls psk|" + std::string(identity));
}

}  // namespace

struct TlsAcceptor::Shared {
  Shared(EventLoop& l, pb::HelloRequest::Role r, std::string u, std::shared_ptr<const Keyring> k)
      : loop(l), role(r), uuid(std::move(u)), keyring(std::move(k)) {}

  EventLoop& loop;
  const pb::HelloRequest::Role role;
  const std::string uuid;
  const std::shared_ptr<const Keyring> keyring;
  SslContextPtr context = MakeTlsContext(true);
  int handshakes = 0;  // in this tick
  std::vector<std::function<void()>> waiting;

  // Whether one more may be worked on now; else `again` runs in the next tick.
  bool TakeTurn(const std::shared_ptr<Shared>& self, const std::function<void()>& again) {
    if (handshakes == 0) {
      loop.AtTickEnd([self] {
        self->handshakes = 0;
        for (auto& fn : self->waiting) self->loop.Post(std::move(fn));
        self->waiting.clear();
      });
    }
    if (++handshakes <= kHandshakesPerTick) return true;
    waiting.push_back(again);
    return false;
  }
};

namespace {

class TlsStream : public ByteStream, private CipherEnds {
 public:
  TlsStream(EventLoop& loop, int fd, LinkEnds ends, std::string key)
      : descriptor_(loop.impl().context, fd),
        peer_address_(PeerAddress(fd)),
        context_(MakeTlsContext(false)),
        identity_(*PskIdentity(ends)),
        psk_(Psk(key, identity_)) {
    Begin(context_.get());
    SSL_set_psk_use_session_callback(ssl_.get(), UseSession);
    SSL_set_connect_state(ssl_.get());
  }

  TlsStream(std::shared_ptr<TlsAcceptor::Shared> shared, int fd)
      : descriptor_(shared->loop.impl().context, fd),
        peer_address_(PeerAddress(fd)),
        shared_(std::move(shared)),
        state_(kSniff) {}

  void Read(const iovec (&into)[2], User& user, std::shared_ptr<void> keep) override {
    into_[0] = into[0];
    into_[1] = into[1];
    reader_ = &user;
    keep_ = std::move(keep);
    const bool more_here = in_begin_ != in_end_ || (ssl_ != nullptr && SSL_has_pending(ssl_.get()) != 0);
    if (more_here || (state_ == kHandshake && shared_ == nullptr && !started_)) {
      Later();
    } else {
      ReadSocket();
    }
  }

  ssize_t Write(const iovec* from, int count) override;
  bool unsent() const override { return out_begin_ != out_.size(); }

  void WaitWritable(User& user, std::shared_ptr<void> keep) override {
    if (state_ == kSniff || state_ == kHandshake) {
      writer_ = &user;
      writer_keep_ = std::move(keep);
      return;
    }
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                           [&user, keep = std::move(keep)](const boost::system::error_code& error) {
                             if (error == asio::error::operation_aborted) return;
                             user.OnWritable(error ? Status(EIO, error.message()) : Status());
                           });
  }

  void Close() override {
    if (state_ == kOpen) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
      static_cast<void>(Flush());
      ERR_clear_error();
    }
    state_ = kClosed;
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    reader_ = writer_ = nullptr;
  }

  const std::string& peer_address() const override { return peer_address_; }
  const char* kind() const override { return state_ == kPlain || ssl_ == nullptr ? "plain" : "tls"; }
  std::string binding() const override { return binding_; }
  const Peer* proven() const override { return proven_.role != 0 && state_ == kOpen ? &proven_ : nullptr; }

 private:
  enum State { kSniff, kHandshake, kOpen, kPlain, kClosed };

  void Begin(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    if (ssl_ == nullptr) std::abort();
    SSL_set_app_data(ssl_.get(), this);
    SetCipherEnds(ssl_.get(), this);
    state_ = kHandshake;
  }
  void Later() {
    asio::post(descriptor_.get_executor(), [this, keep = keep_.lock()] {
      TickBegins();
      if (state_ != kClosed && reader_ != nullptr) Progress();
    });
  }
  void ReadSocket();
  void OnInput(const boost::system::error_code& error, size_t n);
  void Progress();
  bool Sniffed();
  bool Handshake();
  void HandshakeFailed(int why);
  Status CheckHandshake();
  void Decrypt();
  void Done(const Status& status, size_t n);
  int Flush();

  size_t TakeInput(char* to, size_t size) override {
    const size_t n = std::min(size, in_end_ - in_begin_);
    if (n != 0) std::memcpy(to, in_.data() + in_begin_, n);
    in_begin_ += n;
    return n;
  }
  void AddOutput(const char* from, size_t size) override { out_.append(from, size); }

  static int UseSession(SSL* ssl, const EVP_MD* md, const unsigned char** id, size_t* id_size,
                        SSL_SESSION** session);
  static int FindSession(SSL* ssl, const unsigned char* identity, size_t size, SSL_SESSION** session);
  static void OnMessage(int write, int, int type, const void*, size_t, SSL* ssl, void*);

  asio::posix::stream_descriptor descriptor_;
  const std::string peer_address_;
  const std::shared_ptr<TlsAcceptor::Shared> shared_;  // null: the connecting end
  SslContextPtr context_;                              // of the connecting end
  const std::string identity_, psk_;                   // of the connecting end
  SslPtr ssl_;
  State state_;
  bool started_ = false, heard_ = false;
  int messages_ = 0;  // of TLS itself, after the handshake
  Peer proven_;
  std::string binding_;
  Status refusal_;  // why the accepting end had no key for it

  // Encrypted (or plain, for a stream that turned out to be): [in_begin_, in_end_) has not been looked at.
  std::vector<char> in_ = std::vector<char>(kFirstInput);
  size_t in_begin_ = 0, in_end_ = 0;
  std::string out_;
  size_t out_begin_ = 0;

  iovec into_[2] = {};
  User* reader_ = nullptr;
  User* writer_ = nullptr;  // waits for the handshake
  // Held by the operation that the Read waits for: the connection owns this stream, and would never end.
  std::weak_ptr<void> keep_, writer_keep_;
  std::vector<char> record_;
};

int TlsStream::UseSession(SSL* ssl, const EVP_MD* md, const unsigned char** id, size_t* id_size,
                          SSL_SESSION** session) {
  const auto* self = static_cast<const TlsStream*>(SSL_get_app_data(ssl));
  *session = nullptr;
  if (md != nullptr && EVP_MD_get_type(md) != NID_sha256) return 1;  // it would not fit: none
  *session = PskSession(ssl, self->psk_);
  *id = reinterpret_cast<const unsigned char*>(self->identity_.data());
  *id_size = self->identity_.size();
  return *session != nullptr ? 1 : 0;
}

int TlsStream::FindSession(SSL* ssl, const unsigned char* identity, size_t size, SSL_SESSION** session) {
  auto* self = static_cast<TlsStream*>(SSL_get_app_data(ssl));
  const std::string_view text(reinterpret_cast<const char*>(identity), size);
  *session = nullptr;
  Result<LinkEnds> ends = ParsePskIdentity(text);
  if (!ends.ok() || ends->client_role == pb::HelloRequest::UNKNOWN) {
    self->refusal_ = Malformed("a TLS handshake that is not one of KFS");
    return 1;
  }
  // An administrator who has named a chunkserver for a metaserver shall be told so, and can do nothing else
  // here.
  const bool role = ends->server_role == self->shared_->role || ends->client_role == pb::HelloRequest::ADMIN;
  if (!role ||
      (!ends->server_id.empty() && !self->shared_->uuid.empty() && ends->server_id != self->shared_->uuid)) {
    self->refusal_ = Status(EACCES, Code::kBadProof, "the handshake was made for another server");
    return 1;
  }
  Result<FoundKey> key = self->shared_->keyring->Find({.role = ends->client_role,
                                                       .id = ends->client_id,
                                                       .key_id = ends->key_id,
                                                       .address = self->peer_address_});
  if (!key.ok()) {
    self->refusal_ = key.status();
    return 1;
  }
  self->proven_ = {ends->client_role, ends->client_id, ends->key_id};
  *session = PskSession(ssl, Psk(key->key, text));
  return *session != nullptr ? 1 : 0;
}

void TlsStream::OnMessage(int write, int, int type, const void*, size_t, SSL* ssl, void*) {
  auto* self = static_cast<TlsStream*>(SSL_get_app_data(ssl));
  if (write == 0 && type == SSL3_RT_HANDSHAKE && self->state_ == kOpen) ++self->messages_;
}

void TlsStream::ReadSocket() {
  auto keep = keep_.lock();
  if (state_ == kPlain) {
    const std::array<asio::mutable_buffer, 2> buffers{
        asio::mutable_buffer(into_[0].iov_base, into_[0].iov_len),
        asio::mutable_buffer(into_[1].iov_base, into_[1].iov_len)};
    descriptor_.async_read_some(
        buffers, [this, keep = std::move(keep)](const boost::system::error_code& error, size_t n) {
          if (error == asio::error::operation_aborted || state_ == kClosed) return;
          const bool bad = error && error != asio::error::eof;
          Done(bad ? Status(ECONNRESET, error.message()) : Status(), error ? 0 : n);
        });
    return;
  }
  in_begin_ = in_end_ = 0;
  descriptor_.async_read_some(
      asio::buffer(in_), [this, keep = std::move(keep)](const boost::system::error_code& error, size_t n) {
        if (error == asio::error::operation_aborted || state_ == kClosed) return;
        OnInput(error, n);
      });
}

void TlsStream::OnInput(const boost::system::error_code& error, size_t n) {
  TickBegins();
  if (!error && n != 0) {
    in_end_ = n;
    heard_ = true;
    return Progress();
  }
  if (state_ == kSniff) return Done({}, 0);
  if (state_ == kHandshake) {
    if (shared_ == nullptr && !heard_) {
      return Done(Status(ECONNRESET, Code::kTryAgain,
                         "it ended the connection when TLS began: it is of version 0.1.0 or runs with tls = "
                         "off; upgrade it, or set tls here"),
                  0);
    }
    return Done(Status(ECONNRESET, "the connection ended within the TLS handshake"), 0);
  }
  if (error && error != asio::error::eof) return Done(Status(ECONNRESET, error.message()), 0);
  // An end without TLS's own goodbye: the other end was killed, or somebody cuts the connection.
  Done(Status(ECONNRESET, "the connection was cut"), 0);
}

void TlsStream::Progress() {
  if (state_ == kSniff && !Sniffed()) return;
  if (state_ == kHandshake && !Handshake()) return;
  if (state_ == kOpen || state_ == kPlain) Decrypt();
}

// False: the read is done, or goes on later.
bool TlsStream::Sniffed() {
  constexpr char kHandshakeRecord = 0x16;
  if (in_[in_begin_] == kHandshakeRecord) {
    Begin(shared_->context.get());
    SSL_set_psk_find_session_callback(ssl_.get(), FindSession);
    SSL_set_accept_state(ssl_.get());
    return true;
  }
  state_ = kPlain;
  return Decrypt(), false;
}

bool TlsStream::Handshake() {
  auto again = [this, keep = keep_.lock()] {
    if (state_ != kClosed && reader_ != nullptr) Progress();
  };
  if (shared_ != nullptr && !shared_->TakeTurn(shared_, again)) return false;
  started_ = true;
  ERR_clear_error();
  const int rc = SSL_do_handshake(ssl_.get());
  const int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), rc);
  if (int err = Flush(); err != 0) {
    Done(Status(err, ErrnoText(err)), 0);
    return false;
  }
  if (why == SSL_ERROR_WANT_READ) {
    ReadSocket();
    return false;
  }
  if (why != SSL_ERROR_NONE) {
    HandshakeFailed(why);
    return false;
  }
  if (Status s = CheckHandshake(); !s.ok()) {
    Done(s, 0);
    return false;
  }
  state_ = kOpen;
  SSL_set_msg_callback(ssl_.get(), OnMessage);
  in_.reserve(kInput);
  in_.resize(kInput);
  User* writer = std::exchange(writer_, nullptr);
  const auto keep = writer_keep_.lock();
  if (writer != nullptr) writer->OnWritable({});
  return state_ == kOpen;
}

void TlsStream::HandshakeFailed(int why) {
  const bool fatal = why == SSL_ERROR_SSL;
  const unsigned long first = ERR_peek_error();
  const bool certificate =
      ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  const std::string reason = fatal ? TlsError() : "the connection was broken off";
  if (shared_ != nullptr) {
    if (!refusal_.ok()) return Done(refusal_, 0);
    return Done(Status(EACCES, Code::kBadProof, "the TLS handshake failed: " + reason), 0);
  }
  if (certificate) {
    return Done(
        Status(
            EACCES, Code::kBadProof,
            "it shows a certificate instead of proving that it has our key: it is no server of this cluster"),
        0);
  }
  Done(Status(
           EACCES, Code::kBadProof,
           "it does not accept our key, or has another one (another cluster, a wrong secret file, or the key "
           "was revoked or may not be used so); TLS says: " +
               reason),
       0);
}

// What must hold besides what OpenSSL has checked. A server that passes over the PSK has no certificate that
// would do; this is the second lock on that door.
Status TlsStream::CheckHandshake() {
  if (SSL_session_reused(ssl_.get()) != 1 || SSL_version(ssl_.get()) != TLS1_3_VERSION ||
      (shared_ != nullptr && proven_.role == 0)) {
    return Status(EACCES, Code::kBadProof, "the TLS handshake was not made by our key");
  }
  constexpr std::string_view kLabel = "EXPORTER-kfs-greeting";
  binding_.resize(32);
  if (SSL_export_keying_material(ssl_.get(), reinterpret_cast<unsigned char*>(binding_.data()),
                                 binding_.size(), kLabel.data(), kLabel.size(), nullptr, 0, 0) != 1)
    return Status(EACCES, Code::kBadProof, "TLS: " + TlsError());
  return {};
}

// Gives the reader what is there, or waits for more.
void TlsStream::Decrypt() {
  size_t got = 0;
  for (const iovec& part : into_) {
    for (size_t filled = 0; filled < part.iov_len;) {
      char* to = static_cast<char*>(part.iov_base) + filled;
      size_t n = 0;
      if (state_ == kPlain) {
        n = TakeInput(to, part.iov_len - filled);
        if (n == 0) return Done({}, got);
      } else {
        ERR_clear_error();
        const int rc = SSL_read_ex(ssl_.get(), to, part.iov_len - filled, &n);
        if (messages_ > kMessagesMax) return Done(Malformed("a flood of TLS messages"), 0);
        if (rc != 1) {
          const int why = SSL_get_error(ssl_.get(), rc);
          if (int err = Flush(); err != 0) return Done(Status(err, ErrnoText(err)), 0);
          if (got != 0) return Done({}, got);
          if (why == SSL_ERROR_WANT_READ) return ReadSocket();
          if (why == SSL_ERROR_ZERO_RETURN) return Done({}, 0);
          return Done(Malformed("TLS: " + TlsError()), 0);
        }
      }
      filled += n;
      got += n;
    }
  }
  Done({}, got);
}

void TlsStream::Done(const Status& status, size_t n) {
  User* reader = std::exchange(reader_, nullptr);
  const auto keep = keep_.lock();
  reader->OnRead(status, n);
}

ssize_t TlsStream::Write(const iovec* from, int count) {
  if (state_ == kSniff || state_ == kHandshake) return 0;
  if (state_ == kPlain) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(from);
    message.msg_iovlen = static_cast<size_t>(count);
    const ssize_t n = sendmsg(descriptor_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return n;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  }
  if (state_ != kOpen) return -EPIPE;
  size_t taken = 0;
  auto encrypt = [&](const char* data, size_t size) {
    size_t n = 0;
    ERR_clear_error();
    return SSL_write_ex(ssl_.get(), data, size, &n) == 1 && n == size;
  };
  record_.reserve(kRecord);
  for (int i = 0; i < count; ++i) {
    for (size_t at = 0; at < from[i].iov_len;) {
      if (out_.size() - out_begin_ >= kOutputMax) {
        if (int err = Flush(); err != 0) return -err;
        if (out_.size() - out_begin_ >= kOutputMax) {
          if (!record_.empty() && !encrypt(record_.data(), record_.size())) return -EIO;
          record_.clear();
          return static_cast<ssize_t>(taken);
        }
      }
      const char* data = static_cast<const char*>(from[i].iov_base) + at;
      const size_t size = std::min(kRecord - record_.size(), from[i].iov_len - at);
      // Large data is encrypted where it lies, small frames share a record.
      if (size == kRecord) {
        if (!encrypt(data, size)) return -EIO;
      } else {
        record_.insert(record_.end(), data, data + size);
        if (record_.size() == kRecord) {
          if (!encrypt(record_.data(), record_.size())) return -EIO;
          record_.clear();
        }
      }
      at += size;
      taken += size;
    }
  }
  if (!record_.empty() && !encrypt(record_.data(), record_.size())) return -EIO;
  record_.clear();
  if (int err = Flush(); err != 0) return -err;
  return static_cast<ssize_t>(taken);
}

// Sends what can be sent now. 0 or an errno.
int TlsStream::Flush() {
  while (out_begin_ != out_.size()) {
    const ssize_t n = send(descriptor_.native_handle(), out_.data() + out_begin_, out_.size() - out_begin_,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      return errno;
    }
    out_begin_ += static_cast<size_t>(n);
  }
  if (out_begin_ == out_.size()) {
    out_.clear();
    out_begin_ = 0;
  } else if (out_begin_ >= kOutputMax / 2) {
    out_.erase(0, out_begin_);
    out_begin_ = 0;
  }
  return 0;
}

}  // namespace

std::unique_ptr<ByteStream> TlsConnect(EventLoop& loop, int fd, const LinkEnds& ends,
                                       const std::string& key) {
  return std::make_unique<TlsStream>(loop, fd, ends, key);
}

TlsAcceptor::TlsAcceptor(EventLoop& loop, pb::HelloRequest::Role role, std::string uuid,
                         std::shared_ptr<const Keyring> keyring)
    : shared_(std::make_shared<Shared>(loop, role, std::move(uuid), std::move(keyring))) {}

std::unique_ptr<ByteStream> TlsAcceptor::Accept(int fd) { return std::make_unique<TlsStream>(shared_, fd); }

}  // namespace kfs
