// A metaserver and chunkservers in the test's own process, speaking the real protocol over 127.0.0.1: just
// enough of each to test the client, and hooks to make them misbehave. Everything of it lives on one
// LoopThread; tests look at it with On().
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/kfs_client.h"
#include "proto/op_types.h"
#include "rpc/server.h"
#include "tests/unit/client/fake_chunkserver.h"

namespace kfs::test {

constexpr char kSecret[] = "a secret of at least sixteen bytes";

struct FakeInode {
  pb::Attr attr;
  std::string target;                     // symlinks
  std::map<std::string, uint64_t> names;  // directories
  std::map<uint32_t, pb::ChunkLayout> chunks;
};

class FakeCluster {
 public:
  explicit FakeCluster(size_t chunkservers = 2, size_t metaservers = 1);
  ~FakeCluster();

  KfsClient::Options ClientOptions();
  std::unique_ptr<KfsClient> Client(KfsClient::Options options);
  std::unique_ptr<KfsClient> Client() { return Client(ClientOptions()); }

  // Runs `fn` on the fake's thread and waits for it.
  template <typename Fn>
  auto On(Fn fn) {
    using R = decltype(fn());
    std::promise<R> promise;
    auto future = promise.get_future();
    thread_->loop().Post([&] {
      if constexpr (std::is_void_v<R>) {
        fn();
        promise.set_value();
      } else {
        promise.set_value(fn());
      }
    });
    return future.get();
  }
  std::string MetaAddress(size_t i) const { return addresses_[i]; }
  // Waits until `fn`, asked on the fake's thread, is true.
  void Until(const std::function<bool()>& fn);

  // ---- On the fake's thread from here on ----
  void DropConnections();
  // The machine is gone, or back under its address.
  void StopMeta(size_t i);
  void StartMeta(size_t i);
  // As a metaserver that was killed: connections gone, another incarnation.
  void Restart();
  void LoseSessions() { sessions.clear(); }
  uint64_t AddFile(const std::string& name, uint64_t size);
  // Puts data into the file's chunk `index` as if it had been written.
  void PutChunk(uint64_t ino, uint32_t index, const std::string& data);
  FakeChunk& ChunkOf(uint64_t ino, uint32_t index);
  FakeChunkserver& ServerOf(uint64_t ino, uint32_t index);
  std::string Content(uint64_t ino);
  size_t Seen(Op op) const;

  struct SeenOp {
    Op op;
    uint64_t op_id, acked;
    size_t at = 0;  // which metaserver
  };
  std::vector<SeenOp> seen;
  std::vector<pb::ReclaimRequest> reclaims;
  std::optional<uint64_t> known;  // what Reclaim is answered
  std::vector<pb::CommitWriteRequest> commits;
  std::vector<uint64_t> aborted_tokens;
  std::vector<pb::GivenUpChunk> given_up;  // by GiveUpWrite and PrepareWrite
  std::vector<uint64_t> released;
  std::map<uint64_t, std::string> replies;  // by op id, as stored beside the effects
  std::map<uint64_t, FakeInode> inodes;
  std::vector<FakeChunkserver> chunkservers;
  std::set<uint64_t> sessions;
  // The cluster: all metaservers share the state above, and one of them, the owner, serves it.
  size_t owner = 0;
  std::vector<size_t> locates_to;   // what each says who the owner is; empty: the owner
  std::vector<size_t> members;      // that LocateVolume names; empty: all
  std::set<size_t> without_volume;  // these have never heard of it
  bool stopped = false;
  int layout_chunks_max = 4096;  // of one ReadLayout's answer
  uint64_t generation = 0;       // 0: LocateVolume is not served
  uint64_t incarnation = 1;
  uint32_t expiries = 0;  // of every session
  uint32_t ttl_ms = 30000;
  uint64_t next_token = 100;
  int executed = 0;  // mutations that took effect
  // Before everything else; true: the call was dealt with.
  std::function<bool(const IncomingCallPtr&)> intercept;
  // After a mutation took effect, before its answer leaves; true: no answer.
  std::function<bool(const IncomingCallPtr&)> swallow_answer;

 private:
  template <typename Rpc, typename Fn>
  void Mutation(Fn fn);
  template <typename Rpc, typename Fn>
  void Query(Fn fn);
  // False: the call was answered, because of what the cluster is like.
  bool MayServe(const IncomingCallPtr& call, size_t at);
  void ServeSessions();
  void ServeNames();
  void ServeFiles();
  void ServeLocks();
  Status FillLayout(uint64_t ino, uint64_t offset, uint64_t length, bool allocate, pb::LayoutReply* reply);
  void GiveUp(uint64_t ino, const google::protobuf::RepeatedPtrField<pb::GivenUpChunk>& chunks);
  uint64_t NewInode(uint32_t mode);

  uint64_t next_ino_ = 2, next_chunk_ = 1, next_session_ = 1;
  std::unique_ptr<LoopThread> thread_;
  std::vector<std::unique_ptr<Server>> metas_;
  std::vector<std::string> addresses_;  // of metaservers
  Server* meta_ = nullptr;              // the one being set up,
  size_t at_ = 0;                       // which is this one
};

// Result of a completion, waited for on the test's thread.
template <typename T>
class Waiter {
 public:
  std::function<void(T)> Fn() {
    return [state = state_](T value) {
      std::lock_guard lock(state->mutex);
      EXPECT_FALSE(state->value.has_value()) << "a completion ran twice";
      state->value = std::move(value);
      state->condition.notify_all();
    };
  }
  T Get() {
    std::unique_lock lock(state_->mutex);
    if (!state_->condition.wait_for(lock, std::chrono::seconds(30),
                                    [&] { return state_->value.has_value(); })) {
      ADD_FAILURE() << "no completion";
      std::abort();
    }
    return std::move(*state_->value);
  }
  bool done() {
    std::lock_guard lock(state_->mutex);
    return state_->value.has_value();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable condition;
    std::optional<T> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

inline FileHandlePtr OpenFile(KfsClient& client, uint64_t ino, uint32_t flags = O_RDWR) {
  auto opened = client.Wait<KfsClient::Opened>([&](auto done) { client.Open({}, Ino(ino), flags, done); });
  EXPECT_TRUE(opened.ok()) << opened.status().ToString();
  return opened.ok() ? opened->handle : nullptr;
}
// A handle without an open: the fake metaserver does not mind.
inline FileHandlePtr At(uint64_t ino) { return std::make_shared<FileHandle>(Ino(ino), O_RDWR); }

}  // namespace kfs::test
