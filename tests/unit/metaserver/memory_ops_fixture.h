// A client that has all its answers, and says so; ops under ids that come again; what the log was written
// for.
#pragma once

#include <functional>
#include <string>

#include "meta_fixture.h"
#include "metaserver/store/db_view.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

class MemoryOpsTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    // As a client does that has all answers.
    more_of_caller_ = [this](pb::Context& ctx) { ctx.set_acked(acked_ != 0 ? acked_ : op_ids_ - 1); };
  }
  uint64_t writes() { return volume().store.db().writes(); }
  uint64_t WritesOf(const std::function<void()>& fn) {
    const uint64_t before = writes();
    fn();
    return writes() - before;
  }
  size_t RepliesOnDisk() {
    size_t n = 0;
    DbView(volume().store.db()).Scan("A", "", [&](std::string_view key, std::string_view) {
      if (KeyU64(key, 9) != 0) ++n;  // else rec::Answered
      return true;
    });
    return n;
  }
  uint32_t OpensOf(uint64_t ino) {
    auto it = s_->opens.find(Ino(ino));
    return it == s_->opens.end() ? 0 : it->second.count;
  }
  // The metaserver dies; the client says what it had been told that it has.
  void RestartAndReclaim(pb::ReclaimRequest held = {}, pb::ReclaimReply* reply = nullptr) {
    const SessionPtr old = s_;
    Restart();
    s_ = Attach(old);
    held.set_op_ids(op_ids_);
    held.set_last(true);
    ASSERT_TRUE(Reclaim(s_, held, reply).ok());
  }
  static pb::ReclaimRequest Holding(uint64_t ino, uint32_t count) {
    pb::ReclaimRequest r;
    r.add_open()->set_ino(ino);
    r.mutable_open(0)->set_count(count);
    return r;
  }
  template <typename Request>
  Request Numbered(Request request) {
    request.mutable_ctx()->set_op_id(++op_ids_);
    acked_ = op_ids_ - 1;  // this one is never acknowledged
    return request;
  }
  pb::OpenRequest OpenOf(uint64_t ino, uint32_t flags = O_RDWR) {
    pb::OpenRequest r;
    r.set_ino(ino);
    r.set_flags(flags);
    return Numbered(r);
  }
  pb::ReleaseRequest ReleaseOf(uint64_t ino) {
    pb::ReleaseRequest r;
    r.set_ino(ino);
    return Numbered(r);
  }
  pb::FlushRequest FlushOf(uint64_t ino, uint64_t owner) {
    pb::FlushRequest r;
    r.set_ino(ino);
    r.set_owner(owner);
    return Numbered(r);
  }
  size_t locks() { return volume().locks.CountOf(s_->id); }

  uint64_t acked_ = 0;  // 0: all before
};

}  // namespace kfs::meta
