// The network of a simulated world: connections that delay, break off, stall and give bytes in pieces. What a
// TCP connection never does, it does not either: bytes come in order and whole, or not at all.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "rpc/network.h"
#include "tests/sim/world/process.h"

namespace kfs::sim {

std::unique_ptr<Network> MakeNetwork(Process& process);

// Both directions of one connection.
class Pipe : public std::enable_shared_from_this<Pipe> {
 public:
  static constexpr size_t kRoom = 256u << 10;  // bytes that are under way or unread, of one direction

  struct End {
    std::weak_ptr<Process> process;
    std::string host, peer_address;
    // Has arrived and was not read.
    std::string arrived;
    bool eof = false;     // after that: the other end has closed
    int broken = 0;       // an errno: it has ended without order
    bool closed = false;  // by this end
    // Of the Read and the WaitWritable under way.
    iovec into[2] = {};
    ByteStream::User *reader = nullptr, *writer = nullptr;
    std::shared_ptr<void> reader_holds, writer_holds;  // until it is called or closed
    bool told = false;                                 // an event will call the reader
  };

  explicit Pipe(World& world) : world_(world) {}
  // The stream of one end (0: who dialed).
  static std::unique_ptr<ByteStream> StreamOf(const std::shared_ptr<Pipe>& pipe, int end);
  // A process is gone: with a word the other end learns of it.
  void EndOf(const Process& process, bool with_a_word);

  void Read(int end, const iovec (&into)[2], ByteStream::User& user, std::shared_ptr<void> keep);
  ssize_t Write(int end, const iovec* from, int count);
  void WaitWritable(int end, ByteStream::User& user, std::shared_ptr<void> keep);
  void Close(int end);
  End& end(int i) { return ends_[i]; }

 private:
  Nanos Delay();
  bool Passes() const { return world_.Reaches(ends_[0].host, ends_[1].host); }
  // Does what comes of something sent towards that end, once the network carries it; never when the pipe has
  // gone.
  void Carry(int end, std::function<void()> what);
  void CarryHeld(int end);
  void Arrives(int end, const std::string& bytes);
  void Break(int end, int err);
  void TellReader(int end);
  void TellWriter(int end);

  World& world_;
  End ends_[2];
  size_t under_way_[2] = {};  // towards that end
  Nanos last_arrival_[2] = {};
  std::deque<std::function<void()>> held_[2];  // while hosts are cut off from each other
};

}  // namespace kfs::sim
