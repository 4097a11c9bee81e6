#include "rpc/http.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <cstring>
#include <list>
#include <map>
#include <optional>

#include "common/log.h"
#include "rpc/byte_stream.h"
#include "rpc/network.h"

namespace kfs {
namespace {

namespace http = boost::beast::http;

constexpr char kUnix[] = "unix:";

}  // namespace

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  class Visitor;

  explicit Impl(EventLoop& l) : loop(l) {}
  void Accept(std::unique_ptr<ByteStream> stream);
  void EndLate();

  EventLoop& loop;
  std::map<std::string, Page> pages;
  std::unique_ptr<Network::Listener> listener;
  std::list<std::shared_ptr<Visitor>> visitors;
  EventLoop::Timer late_timer;
};

// One connection: reads a request, answers it, reads the next.
class HttpServer::Impl::Visitor : public ByteStream::User, public std::enable_shared_from_this<Visitor> {
 public:
  Visitor(const std::shared_ptr<Impl>& server, std::unique_ptr<ByteStream> stream)
      : server_(server), loop_(server->loop), stream_(std::move(stream)) {
    NextRequest();
    deadline_ = loop_.Now() + kRequestTimeMax;  // who comes has something to ask
  }

  void Read() {
    if (closed_) return;
    const iovec into[2] = {{buffer_ + used_, sizeof(buffer_) - used_}, {}};
    stream_->Read(into, *this, shared_from_this());
  }
  void Close() {
    if (closed_) return;
    closed_ = true;
    auto keep = shared_from_this();
    stream_->Close();
    if (auto server = server_.lock()) server->visitors.remove(keep);
  }
  MonoTime deadline() const { return deadline_; }
  bool asks() const { return used_ != 0 || answering_; }

  void OnRead(const Status& status, size_t n) override {
    if (closed_) return;
    if (!status.ok() || n == 0) return Close();
    if (used_ == 0) deadline_ = loop_.Now() + kRequestTimeMax;
    used_ += n;
    Parse();
  }
  void OnWritable(const Status& status) override {
    if (closed_) return;
    if (!status.ok()) return Close();
    Flush();
  }

 private:
  void NextRequest() {
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(kRequestBytesMax);
    read_ = 0;
    answering_ = false;
    deadline_ = loop_.Now() + kIdleMax;
  }

  // Of what lies in the buffer.
  void Parse() {
    boost::system::error_code error;
    const size_t taken = parser_->put(boost::asio::const_buffer(buffer_, used_), error);
    read_ += taken;
    used_ -= taken;
    std::memmove(buffer_, buffer_ + taken, used_);
    if (error == http::error::need_more) error = {};
    if (error == http::error::header_limit || read_ > kRequestBytesMax || used_ == sizeof(buffer_))
      return Refuse(431, "the request is too large");
    if (error == http::error::unexpected_body || error == http::error::body_limit)
      return Refuse(413, "a request has no body here");
    if (error) return Refuse(400, "this is no HTTP request: " + error.message());
    if (!parser_->is_done()) return Read();
    Answer();
  }

  void Answer() {
    const auto& request = parser_->get();
    keep_alive_ = request.keep_alive();
    if (request.method() != http::verb::get)
      return Send({405, "only GET is served here\n"}, "Allow: GET\r\n");
    std::string path(request.target());
    path = path.substr(0, path.find('?'));
    auto server = server_.lock();
    if (server == nullptr) return Close();
    const auto page = server->pages.find(path);
    if (page == server->pages.end()) {
      std::string known;
      for (const auto& [name, p] : server->pages) known += " " + name;
      return Send({404, "there is no such page; there are" + known + "\n"});
    }
    answering_ = true;
    page->second([weak = weak_from_this()](Reply reply) {
      if (auto self = weak.lock(); self != nullptr && !self->closed_) self->Send(std::move(reply));
    });
  }

  // What follows cannot be understood: the connection ends with the answer.
  void Refuse(unsigned status, const std::string& why) {
    keep_alive_ = false;
    Send({status, why + "\n"});
  }

  void Send(const Reply& reply, const char* more = "") {
    answering_ = true;
    output_ =
        fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n{}\r\n",
                    reply.status, std::string(http::obsolete_reason(static_cast<http::status>(reply.status))),
                    reply.type, reply.body.size(), keep_alive_ ? "keep-alive" : "close", more);
    output_ += reply.body;
    sent_ = 0;
    Flush();
  }

  void Flush() {
    while (sent_ < output_.size()) {
      const iovec rest{output_.data() + sent_, output_.size() - sent_};
      const ssize_t n = stream_->Write(&rest, 1);
      if (n < 0) return Close();
      if (n == 0) return stream_->WaitWritable(*this, shared_from_this());
      sent_ += static_cast<size_t>(n);
    }
    output_ = {};
    if (!keep_alive_) return Close();
    NextRequest();
    if (used_ == 0) return Read();
    deadline_ = loop_.Now() + kRequestTimeMax;
    // The next one lies there already. Others first.
    loop_.Post([weak = weak_from_this()] {
      if (auto self = weak.lock(); self != nullptr && !self->closed_) self->Parse();
    });
  }

  const std::weak_ptr<Impl> server_;
  EventLoop& loop_;
  const std::unique_ptr<ByteStream> stream_;
  char buffer_[kRequestBytesMax];
  size_t used_ = 0, read_ = 0;  // unparsed bytes in the buffer; parsed ones of this request
  std::optional<http::request_parser<http::empty_body>> parser_;
  bool keep_alive_ = false, answering_ = false, closed_ = false;
  std::string output_;
  size_t sent_ = 0;
  MonoTime deadline_{};
};

void HttpServer::Impl::Accept(std::unique_ptr<ByteStream> stream) {
  if (visitors.size() >= kVisitorsMax) {
    const auto order = [](const auto& v) { return std::pair(v->asks(), v->deadline()); };
    std::shared_ptr<Visitor>(*std::ranges::min_element(visitors, {}, order))->Close();
  }
  visitors.push_back(std::make_shared<Visitor>(shared_from_this(), std::move(stream)));
  visitors.back()->Read();
}

void HttpServer::Impl::EndLate() {
  const auto all = visitors;  // Close changes it
  for (const auto& v : all) {
    if (loop.Now() >= v->deadline()) v->Close();
  }
}

HttpServer::HttpServer(EventLoop& loop) : impl_(std::make_shared<Impl>(loop)) {}
HttpServer::~HttpServer() { Stop(); }

void HttpServer::Serve(std::string path, Page page) { impl_->pages[std::move(path)] = std::move(page); }

Status HttpServer::Listen(const std::string& address) {
  const std::string path = address.starts_with(kUnix) ? address.substr(sizeof(kUnix) - 1) : "";
  struct stat st {};
  if (!path.empty() && lstat(path.c_str(), &st) == 0 && !S_ISSOCK(st.st_mode))
    return Status(EEXIST, "cannot listen on " + address + ": there is a file that is no socket");
  auto listener = impl_->loop.network().Listen(
      impl_->loop, address, "",
      [weak = impl_->weak_from_this()](std::unique_ptr<ByteStream> stream, const std::string&) {
        if (auto impl = weak.lock()) impl->Accept(std::move(stream));
      });
  if (!listener.ok()) return listener.status();
  if (!path.empty() && chmod(path.c_str(), 0600) != 0) return ErrnoStatus(errno, "chmod " + path);
  impl_->listener = std::move(*listener);
  auto start = [weak = impl_->weak_from_this()] {
    auto impl = weak.lock();
    if (impl == nullptr || impl->listener == nullptr) return;
    impl->late_timer = impl->loop.RunEvery(std::chrono::seconds(1), [i = impl.get()] { i->EndLate(); });
  };
  if (impl_->loop.InLoopThread()) {
    start();
  } else {
    impl_->loop.Post(start);
  }
  return {};
}

std::string HttpServer::address() const {
  return impl_->listener == nullptr ? "" : impl_->listener->address();
}
size_t HttpServer::visitors() const { return impl_->visitors.size(); }

void HttpServer::Stop() {
  if (impl_->listener != nullptr && address().starts_with(kUnix))
    unlink(address().substr(sizeof(kUnix) - 1).c_str());
  impl_->listener.reset();
  impl_->late_timer.Cancel();
  const auto all = impl_->visitors;
  for (const auto& v : all) v->Close();
}

}  // namespace kfs
