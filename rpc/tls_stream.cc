#include "rpc/tls_stream.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "rpc/frame.h"
#include "rpc/tls_context.h"
#include "rpc/tls_handshake.h"

namespace kfs {
namespace {

constexpr size_t kRecord = 16u << 10;      // plain bytes of a TLS record, at most
constexpr size_t kFirstInput = 2u << 10;   // until the other end has proved itself: enough for a handshake
constexpr size_t kInput = 64u << 10;       // afterwards
constexpr size_t kOutputMax = 256u << 10;  // encrypted and not sent
// Handshakes cost hundreds of microseconds; a crowd of them shall not hold up the other links.
constexpr int kHandshakesPerTick = 8;
// TLS messages after the handshake (key updates) that one connection may send: we never ask for any.
constexpr int kMessagesMax = 16;

}  // namespace

struct TlsAcceptor::Shared {
  Shared(EventLoop& l, pb::HelloRequest::Role r, std::string u, std::shared_ptr<const Keyring> k)
      : loop(l), end{r, std::move(u), std::move(k)} {}

  EventLoop& loop;
  const TlsServerEnd end;
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

class TlsStream : public ByteStream, private ByteStream::User, private CipherEnds {
 public:
  TlsStream(EventLoop& loop, std::unique_ptr<ByteStream> plain, const LinkEnds& ends, const std::string& key)
      : loop_(loop), plain_(std::move(plain)), context_(MakeTlsContext(false)), handshake_(ends, key) {
    Begin(context_.get());
  }

  TlsStream(std::shared_ptr<TlsAcceptor::Shared> shared, std::unique_ptr<ByteStream> plain)
      : loop_(shared->loop),
        plain_(std::move(plain)),
        shared_(std::move(shared)),
        handshake_(shared_->end, plain_->peer_address()),
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
  bool unsent() const override { return out_begin_ != out_.size() || plain_->unsent(); }

  void WaitWritable(User& user, std::shared_ptr<void> keep) override {
    if (state_ == kSniff || state_ == kHandshake) {
      writer_ = &user;
      writer_keep_ = std::move(keep);
      return;
    }
    plain_->WaitWritable(user, std::move(keep));
  }

  void Close() override {
    if (state_ == kOpen) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
      static_cast<void>(Flush());
      ERR_clear_error();
    }
    state_ = kClosed;
    plain_->Close();
    reader_ = writer_ = nullptr;
  }

  const std::string& peer_address() const override { return plain_->peer_address(); }
  const char* kind() const override { return state_ == kPlain || ssl_ == nullptr ? "plain" : "tls"; }
  std::string binding() const override { return handshake_.binding(); }
  const Peer* proven() const override {
    return handshake_.proven().role != 0 && state_ == kOpen ? &handshake_.proven() : nullptr;
  }

 private:
  enum State { kSniff, kHandshake, kOpen, kPlain, kClosed };

  void Begin(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    if (ssl_ == nullptr) std::abort();
    SetCipherEnds(ssl_.get(), this);
    handshake_.Begin(ssl_.get());
    state_ = kHandshake;
  }
  void Later() {
    loop_.Post([this, keep = keep_.lock()] {
      if (state_ != kClosed && reader_ != nullptr) Progress();
    });
  }
  void ReadSocket();
  void OnRead(const Status& status, size_t n) override;
  void OnWritable(const Status&) override {}  // it is asked of the plain stream for the user
  void OnInput(const Status& status, size_t n);
  void Progress();
  bool Sniffed();
  bool Handshake();
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

  static void OnMessage(int write, int, int type, const void*, size_t, SSL*, void* stream);

  EventLoop& loop_;
  const std::unique_ptr<ByteStream> plain_;
  const std::shared_ptr<TlsAcceptor::Shared> shared_;  // null: the connecting end
  SslContextPtr context_;                              // of the connecting end
  TlsHandshake handshake_;
  SslPtr ssl_;
  State state_;
  bool started_ = false, heard_ = false;
  int messages_ = 0;  // of TLS itself, after the handshake

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

void TlsStream::OnMessage(int write, int, int type, const void*, size_t, SSL*, void* stream) {
  auto* self = static_cast<TlsStream*>(stream);
  if (write == 0 && type == SSL3_RT_HANDSHAKE && self->state_ == kOpen) ++self->messages_;
}

void TlsStream::ReadSocket() {
  auto keep = keep_.lock();
  if (state_ == kPlain) return plain_->Read(into_, *this, std::move(keep));
  in_begin_ = in_end_ = 0;
  const iovec into[2] = {{in_.data(), in_.size()}, {}};
  plain_->Read(into, *this, std::move(keep));
}

void TlsStream::OnRead(const Status& status, size_t n) {
  if (state_ == kClosed) return;
  if (state_ == kPlain) return Done(status.ok() ? Status() : Status(ECONNRESET, status.message()), n);
  OnInput(status, n);
}

void TlsStream::OnInput(const Status& status, size_t n) {
  if (status.ok() && n != 0) {
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
  if (!status.ok()) return Done(Status(ECONNRESET, status.message()), 0);
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
    Done(handshake_.Failed(why), 0);
    return false;
  }
  if (Status s = handshake_.Check(ssl_.get()); !s.ok()) {
    Done(s, 0);
    return false;
  }
  state_ = kOpen;
  SSL_set_msg_callback(ssl_.get(), OnMessage);
  SSL_set_msg_callback_arg(ssl_.get(), this);
  in_.reserve(kInput);
  in_.resize(kInput);
  User* writer = std::exchange(writer_, nullptr);
  const auto keep = writer_keep_.lock();
  if (writer != nullptr) writer->OnWritable({});
  return state_ == kOpen;
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
  if (state_ == kPlain) return plain_->Write(from, count);
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
    const iovec rest{out_.data() + out_begin_, out_.size() - out_begin_};
    const ssize_t n = plain_->Write(&rest, 1);
    if (n < 0) return static_cast<int>(-n);
    if (n == 0) break;
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

std::unique_ptr<ByteStream> TlsConnect(EventLoop& loop, std::unique_ptr<ByteStream> plain,
                                       const LinkEnds& ends, const std::string& key) {
  return std::make_unique<TlsStream>(loop, std::move(plain), ends, key);
}

TlsAcceptor::TlsAcceptor(EventLoop& loop, pb::HelloRequest::Role role, std::string uuid,
                         std::shared_ptr<const Keyring> keyring)
    : shared_(std::make_shared<Shared>(loop, role, std::move(uuid), std::move(keyring))) {}

std::unique_ptr<ByteStream> TlsAcceptor::Accept(std::unique_ptr<ByteStream> plain) {
  return std::make_unique<TlsStream>(shared_, std::move(plain));
}

}  // namespace kfs
