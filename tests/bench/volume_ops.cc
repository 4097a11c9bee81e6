// What one operation costs a volume: executor and database alone, no sockets, one thread, in processor time.
//
//   kfs-volume-ops
//
// For comparing two builds: best of several rounds each, or the instructions that 'valgrind --tool=callgrind
// --toggle-collect="*VolumeOps*Round*"' counts, which do not mind a busy machine.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cstdio>

#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

double CpuUs() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

class VolumeOps : public MetaTest {
 protected:
  static constexpr int kRounds = 8, kEach = 2000;

  template <typename Rpc>
  TestCallPtr Execute(typename Rpc::Request& request) {
    pb::Context* ctx = request.mutable_ctx();
    if (Rpc::kMutates) {
      ctx->set_op_id(++op_ids_);
      ctx->set_acked(op_ids_ > 2 * at_once_ ? op_ids_ - 2 * at_once_ : 0);
    }
    ctx->set_groups_known(true);
    auto call = std::make_shared<TestCall>(Rpc::kOp, request.SerializeAsString());
    call->session = s_;
    executor_->Execute(call);
    return call;
  }
  // Files are created, at_once_ a tick, and closed.
  __attribute__((noinline)) double Round(uint64_t dir, int round) {
    const double before = CpuUs();
    std::vector<TestCallPtr> calls;
    for (uint64_t i = 0; i < kEach; i += at_once_) {
      calls.clear();
      for (uint64_t j = 0; j < at_once_; ++j) {
        pb::CreateRequest create;
        create.set_parent(dir);
        create.set_name(std::to_string(round) + "file" + std::to_string(i + j));
        create.set_mode(0644);
        create.set_flags(O_RDWR);
        calls.push_back(Execute<rpc::Create>(create));
      }
      executor_->EndTick();
      for (const TestCallPtr& call : calls) {
        pb::CreateReply reply;
        EXPECT_TRUE(call->answered && reply.ParseFromString(call->reply)) << call->status.ToString();
        pb::ReleaseRequest release;
        release.set_ino(reply.attr().ino());
        Execute<rpc::Release>(release);
      }
      executor_->EndTick();
    }
    return (CpuUs() - before) / kEach;
  }
  void Measure(uint64_t at_once) {
    at_once_ = at_once;
    const uint64_t dir = Mkdir(1, "dir" + std::to_string(at_once));
    Round(dir, 0);
    std::vector<double> us;
    for (int i = 1; i <= kRounds; ++i) us.push_back(Round(dir, i));
    std::sort(us.begin(), us.end());
    std::printf("create and close, %llu a tick: best %.2f us, median %.2f us\n",
                static_cast<unsigned long long>(at_once), us.front(), us[us.size() / 2]);
  }
  uint64_t at_once_ = 1;
};

TEST_F(VolumeOps, Create) { Measure(1); }
TEST_F(VolumeOps, CreateMany) { Measure(20); }

}  // namespace
}  // namespace kfs::meta
