// Sessions whose root is a directory, or which have less than all rights.
#pragma once

#include <string>
#include <utility>

#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {

inline MountRights Bound(const std::string& path) {
  MountRights rights;
  rights.key = "mount/laptops/1";
  rights.path = path;
  return rights;
}

// /in/deep/f, /in/g, /out/secret, /top; sessions of which /in may be all.
class SessionRootTest : public MetaTest {
 protected:
  void SetUp() override {
    options_.proofs = OpenProofs({"key"});
    MetaTest::SetUp();
    in_ = Mkdir(1, "in");
    deep_ = Mkdir(in_, "deep");
    f_ = Mknod(deep_, "f");
    g_ = Mknod(in_, "g");
    out_ = Mkdir(1, "out");
    secret_ = Mknod(out_, "secret");
    top_ = Mknod(1, "top");
  }

  SessionPtr Open(const std::string& path, const MountRights& rights = {}, uint64_t root = 0) {
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    pb::OpenSessionRequest request;
    request.set_counts_logged(true);
    request.set_volume("vol");
    request.set_path(path);
    request.set_root(root);
    SessionPtr s = executor_->OpenSession(call, request, "host", "client", rights);
    executor_->EndTick();
    last_ = call->status;
    return s;
  }
  SessionPtr AttachWith(const SessionPtr& old, const MountRights& rights) {
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    pb::OpenSessionRequest request;
    request.set_counts_logged(true);
    request.set_volume("vol");
    request.set_session(old->id.v);
    request.set_key(old->key);
    SessionPtr s = executor_->OpenSession(call, request, "host", "client", rights);
    executor_->EndTick();
    last_ = call->status;
    return s;
  }
  // As another session for a while.
  template <typename Fn>
  auto In(const SessionPtr& s, Fn fn) {
    const SessionPtr mine = std::exchange(s_, s);
    auto result = fn();
    s_ = mine;
    return result;
  }
  // Opened for reading by a session: what proves it.
  pb::OpenProof Proof(const SessionPtr& s, uint64_t ino) {
    return In(s, [&] {
      pb::OpenRequest open;
      open.set_ino(ino);
      return Run<rpc::Open>(open).open();
    });
  }
  int StatIn(const SessionPtr& s, uint64_t ino) {
    return In(s, [&] { return Stat(ino), err(); });
  }

  uint64_t in_ = 0, deep_ = 0, f_ = 0, g_ = 0, out_ = 0, secret_ = 0, top_ = 0;
};

}  // namespace kfs::meta
