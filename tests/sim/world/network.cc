#include "tests/sim/world/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/reached.h"
#include "rpc/address.h"

namespace kfs::sim {
namespace {

constexpr Nanos kWrite = 2 * kMicro;
constexpr Nanos kSentAgainMin = 200 * kMilli, kSentAgainMax = 2 * kSecond;
constexpr size_t kPieceMax = 64u << 10;  // bytes that arrive at once

class SimStream : public ByteStream {
 public:
  SimStream(std::shared_ptr<Pipe> pipe, int end) : pipe_(std::move(pipe)), end_(end) {}
  ~SimStream() override { Close(); }
  void Read(const iovec (&into)[2], User& user, std::shared_ptr<void> keep) override {
    pipe_->Read(end_, into, user, std::move(keep));
  }
  ssize_t Write(const iovec* from, int count) override { return pipe_->Write(end_, from, count); }
  void WaitWritable(User& user, std::shared_ptr<void> keep) override {
    pipe_->WaitWritable(end_, user, std::move(keep));
  }
  void Close() override { pipe_->Close(end_); }
  const std::string& peer_address() const override { return pipe_->end(end_).peer_address; }
  const char* kind() const override { return "plain"; }

 private:
  const std::shared_ptr<Pipe> pipe_;
  const int end_;
};

}  // namespace

// ---- one connection ----

std::unique_ptr<ByteStream> Pipe::StreamOf(const std::shared_ptr<Pipe>& pipe, int end) {
  return std::make_unique<SimStream>(pipe, end);
}

Nanos Pipe::Delay() {
  const Mishaps& m = world_.mishaps;
  if (!world_.Chance(m.slow_chance)) return world_.Between(m.latency_min, m.latency_max);
  KFS_REACHED("mishap.bytes_came_late");
  return world_.Between(0, m.slow_max);
}

void Pipe::Read(int i, const iovec (&into)[2], ByteStream::User& user, std::shared_ptr<void> keep) {
  End& e = ends_[i];
  if (e.closed) return;  // its process was killed in the middle of this
  e.into[0] = into[0];
  e.into[1] = into[1];
  e.reader = &user;
  e.reader_holds = std::move(keep);
  if (!e.arrived.empty() || e.eof || e.broken != 0) TellReader(i);
}

void Pipe::TellReader(int i) {
  End& e = ends_[i];
  const auto process = e.process.lock();
  if (e.reader == nullptr || e.told || process == nullptr) return;
  e.told = true;
  world_.At(process->Time(), process, [self = shared_from_this(), i] {
    End& end = self->ends_[i];
    end.told = false;
    if (end.closed || end.reader == nullptr) return;
    size_t got = 0;
    if (end.broken == 0 || !end.arrived.empty()) {
      // In whatever pieces it comes.
      size_t most = end.arrived.size();
      if (most > 1 && self->world_.Chance(0.1))
        most = static_cast<size_t>(self->world_.Between(1, Nanos(most)));
      for (const iovec& part : end.into) {
        const size_t n = std::min(part.iov_len, most - got);
        if (n != 0) end.arrived.copy(static_cast<char*>(part.iov_base), n, got);
        got += n;
      }
      end.arrived.erase(0, got);
      if (got != 0) self->TellWriter(1 - i);
    }
    const bool broken = got == 0 && end.broken != 0;
    const auto keep = std::exchange(end.reader_holds, nullptr);
    ByteStream::User* reader = std::exchange(end.reader, nullptr);
    reader->OnRead(broken ? Status(end.broken, ErrnoText(end.broken)) : Status(), got);
  });
}

ssize_t Pipe::Write(int i, const iovec* from, int count) {
  End& e = ends_[i];
  End& other = ends_[1 - i];
  const auto process = e.process.lock();
  if (e.closed || process == nullptr || !process->alive()) return -EPIPE;
  process->Costs(kWrite);
  if (e.broken != 0) return -e.broken;
  size_t& towards = under_way_[1 - i];
  size_t taken = 0;
  for (int part = 0; part < count; ++part) {
    for (size_t at = 0; at < from[part].iov_len;) {
      const size_t used = towards + other.arrived.size();
      const size_t n = std::min({from[part].iov_len - at, kRoom - std::min(kRoom, used), kPieceMax});
      if (n == 0) return static_cast<ssize_t>(taken);
      const Nanos when = std::max(last_arrival_[1 - i], process->Time() + Delay());
      last_arrival_[1 - i] = when;
      towards += n;
      std::string bytes(static_cast<const char*>(from[part].iov_base) + at, n);
      world_.At(when, nullptr, [self = shared_from_this(), to = 1 - i, bytes = std::move(bytes)]() mutable {
        self->Carry(to, [pipe = self.get(), to, bytes = std::move(bytes)] { pipe->Arrives(to, bytes); });
      });
      at += n;
      taken += n;
    }
  }
  if (world_.Chance(world_.mishaps.cut_chance)) {
    KFS_REACHED("mishap.connection_broken");
    world_.At(process->Time() + Delay(), nullptr, [self = shared_from_this()] {
      self->Break(0, ECONNRESET);
      self->Break(1, ECONNRESET);
    });
  }
  return static_cast<ssize_t>(taken);
}

// What the network does not carry is sent again and again, in order.
void Pipe::Carry(int i, std::function<void()> what) {
  std::deque<std::function<void()>>& held = held_[i];
  held.push_back(std::move(what));
  if (held.size() == 1) CarryHeld(i);
}

void Pipe::CarryHeld(int i) {
  std::deque<std::function<void()>>& held = held_[i];
  if (Passes()) {
    while (!held.empty()) {
      const auto what = std::move(held.front());
      held.pop_front();
      what();
    }
  } else if (ends_[0].closed && ends_[1].closed) {
    held.clear();
  } else {
    world_.At(world_.now() + world_.Between(kSentAgainMin, kSentAgainMax), nullptr,
              [self = shared_from_this(), i] { self->CarryHeld(i); });
  }
}

void Pipe::Arrives(int i, const std::string& bytes) {
  under_way_[i] -= bytes.size();
  End& e = ends_[i];
  if (e.broken != 0 || e.closed) return;
  const auto process = e.process.lock();
  if (process == nullptr || !process->alive()) return;
  world_.Note(bytes.size());
  e.arrived += bytes;
  TellReader(i);
}

void Pipe::WaitWritable(int i, ByteStream::User& user, std::shared_ptr<void> keep) {
  End& e = ends_[i];
  if (e.closed) return;
  e.writer = &user;
  e.writer_holds = std::move(keep);
  TellWriter(i);
}

void Pipe::TellWriter(int i) {
  End& e = ends_[i];
  const auto process = e.process.lock();
  if (e.writer == nullptr || process == nullptr) return;
  if (e.broken == 0 && under_way_[1 - i] + ends_[1 - i].arrived.size() >= kRoom) return;
  world_.At(process->Time(), process, [self = shared_from_this(), i] {
    End& end = self->ends_[i];
    if (end.closed || end.writer == nullptr) return;
    const auto keep = std::exchange(end.writer_holds, nullptr);
    std::exchange(end.writer, nullptr)->OnWritable({});
  });
}

void Pipe::Break(int i, int err) {
  End& e = ends_[i];
  if (e.broken != 0 || e.closed) return;
  e.broken = err;
  world_.broken.push_back({.at = world_.now(), .a = ends_[0].host, .b = ends_[1].host});
  TellReader(i);
  TellWriter(i);
}

void Pipe::Close(int i) {
  End& e = ends_[i];
  if (std::exchange(e.closed, true)) return;
  const auto held = std::move(e.reader_holds);
  const auto held_too = std::move(e.writer_holds);
  e.reader = e.writer = nullptr;
  const auto process = e.process.lock();
  if (process == nullptr || !process->alive()) return;
  // In order: behind the bytes that are under way.
  const Nanos when = std::max(last_arrival_[1 - i], process->Time() + Delay());
  world_.At(when, nullptr, [self = shared_from_this(), to = 1 - i] {
    self->Carry(to, [pipe = self.get(), to] {
      pipe->ends_[to].eof = true;
      pipe->TellReader(to);
    });
  });
}

void Pipe::EndOf(const Process& process, bool with_a_word) {
  for (int i = 0; i < 2; ++i) {
    if (ends_[i].process.lock().get() != &process) continue;
    const auto held = std::move(ends_[i].reader_holds);
    const auto held_too = std::move(ends_[i].writer_holds);
    ends_[i].closed = true;
    ends_[i].reader = ends_[i].writer = nullptr;
    if (!with_a_word) continue;
    world_.At(process.Time() + Delay(), nullptr, [self = shared_from_this(), to = 1 - i] {
      self->Carry(to, [pipe = self.get(), to] { pipe->Break(to, ECONNRESET); });
    });
  }
}

// ---- dialing and listening ----

class SimListener : public Network::Listener {
 public:
  SimListener(Process& process, std::string address, Network::AcceptFn accept)
      : process_(process),
        address_(std::move(address)),
        accept_(std::make_shared<Network::AcceptFn>(std::move(accept))) {
    process_.host().listeners[address_] = this;
  }
  ~SimListener() override { process_.host().listeners.erase(address_); }
  std::string address() const override { return address_; }
  Process& process() { return process_; }
  // On its process.
  std::function<void(std::unique_ptr<ByteStream>, const std::string&)> accept() {
    return [accept = std::weak_ptr(accept_)](std::unique_ptr<ByteStream> stream, const std::string& origin) {
      if (auto fn = accept.lock()) (*fn)(std::move(stream), origin);
    };
  }

 private:
  Process& process_;
  const std::string address_;
  const std::shared_ptr<Network::AcceptFn> accept_;
};

namespace {

class SimDialing : public Network::Dialing {
 public:
  explicit SimDialing(std::shared_ptr<Network::DialedFn> done) : done_(std::move(done)) {}
  ~SimDialing() override { *done_ = nullptr; }

 private:
  const std::shared_ptr<Network::DialedFn> done_;
};

class SimNetwork : public Network {
 public:
  explicit SimNetwork(Process& process) : process_(process) {}

  std::unique_ptr<Dialing> Dial(EventLoop&, const std::string& address, const DialOptions& options,
                                DialedFn fn) override {
    auto done = std::make_shared<DialedFn>(std::move(fn));
    World& world = process_.world();
    const Nanos way = Way();
    world.At(process_.Time() + way, nullptr,
             [&world, way, address, whom = options.whom, from = process_.shared_from_this(), done] {
               Arrive(world, way, address, whom, from, done);
             });
    return std::make_unique<SimDialing>(done);
  }

  Result<std::unique_ptr<Listener>> Listen(EventLoop&, const std::string& address, const std::string&,
                                           AcceptFn accept) override {
    std::string host;
    uint16_t port = 0;
    KFS_RETURN_IF_ERROR(SplitAddress(address, 0, &host, &port));
    Host& own = process_.host();
    const std::string full = fmt::format("{}:{}", own.name, port != 0 ? port : own.next_port++);
    if (own.listeners.contains(full)) return Status(EADDRINUSE, "cannot listen on " + full);
    return std::unique_ptr<Listener>(std::make_unique<SimListener>(process_, full, std::move(accept)));
  }

 private:
  Nanos Way() {
    const Mishaps& m = process_.world().mishaps;
    return process_.world().Between(m.latency_min, m.latency_max);
  }

  // At the other machine: static in all but the name, for its own process may be gone.
  static void Arrive(World& world, Nanos way, const std::string& address, const std::string& whom,
                     const std::shared_ptr<Process>& from, const std::shared_ptr<DialedFn>& done) {
    const std::string host = HostOf(address);
    const auto there = world.hosts().find(host);
    if (there == world.hosts().end() || !world.Reaches(from->host().name, host)) return;  // no answer
    const auto listener = there->second->listeners.find(address);
    auto answer = [&world, way, from, done](auto make) {
      world.At(world.now() + way, from, [done, make = std::move(make)]() mutable {
        if (*done) std::exchange(*done, nullptr)(make());
      });
    };
    if (listener == there->second->listeners.end() || !listener->second->process().alive()) {
      return answer([whom, address]() -> Result<std::unique_ptr<ByteStream>> {
        return Status(ECONNREFUSED, fmt::format("cannot connect to {} at {}", whom, address));
      });
    }
    const auto to = listener->second->process().shared_from_this();
    auto pipe = std::make_shared<Pipe>(world);
    pipe->end(0).process = from;
    pipe->end(0).host = from->host().name;
    pipe->end(0).peer_address = address;
    pipe->end(1).process = to;
    pipe->end(1).host = host;
    pipe->end(1).peer_address = fmt::format("{}:{}", from->host().name, from->host().next_port++);
    from->Track(pipe);
    to->Track(pipe);
    world.At(world.now(), to, [pipe, accept = listener->second->accept(), origin = from->host().name] {
      accept(Pipe::StreamOf(pipe, 1), origin);
    });
    answer([pipe]() -> Result<std::unique_ptr<ByteStream>> { return Pipe::StreamOf(pipe, 0); });
  }

  Process& process_;
};

}  // namespace

std::unique_ptr<Network> MakeNetwork(Process& process) { return std::make_unique<SimNetwork>(process); }

}  // namespace kfs::sim
