// Tokens, clocks and fences: who may touch a chunk, and until when.
#include <gtest/gtest.h>

#include "chunkserver/access_gate.h"
#include "common/crc32c.h"
#include "common/limits.h"
#include "tests/unit/chunkserver/store_fixture.h"
#include "tests/unit/chunkserver/test_access.h"

namespace kfs {
namespace {

constexpr char kKey[] = "the key of this chunkserver.....";
constexpr uint64_t kClock = 77;

class GateTest : public ::testing::Test {
 protected:
  void Advance(int64_t ms) { clock_.now += std::chrono::milliseconds(ms); }
  TestAccess Access() {
    TestAccess a{.key = kKey, .clock = kClock, .expires_ms = 10000};
    a.ref.set_volume(1);
    a.ref.set_chunk(7);
    a.ref.set_version(3);
    return a;
  }
  // Verified and checked, as a write is.
  Status Try(const TestAccess& a, uint32_t right = kWriteChunk) {
    auto grant = gate_.Verify(a.ref, a.Signed(), right);
    return grant.ok() ? gate_.Check(*grant) : grant.status();
  }
  // The owner's clock shows `ms`, asked for just now.
  void Heard(uint64_t ms) { gate_.LearnClock(kClock, ms, gate_.NowMs()); }
  static pb::FenceSessionsRequest FenceOf(uint64_t session, uint64_t serial, bool others = false) {
    pb::FenceSessionsRequest r;
    r.set_volume(1);
    r.set_clock(kClock);
    auto* f = r.add_fence();
    f->set_session(session);
    f->set_serial(serial);
    f->set_expires_ms(10000);
    f->set_others(others);
    return r;
  }

  ManualClock clock_;
  AccessGate gate_{kKey, clock_};
};

TEST_F(GateTest, AMetaserversTokenOpensItsChunk) {
  Heard(1000);
  EXPECT_TRUE(Try(Access()).ok());
  EXPECT_TRUE(Try(Access(), kReadChunk).ok());
}

TEST_F(GateTest, WhoShowsNothingPassesOnlyWhileAClusterGoesOver) {
  Heard(1000);
  pb::ChunkAccess half = Access().Signed();
  half.clear_ticket();
  EXPECT_EQ(gate_.Verify(Access().ref, {}, kReadChunk).status().err(), EACCES);
  const AccessGate::Grant none = [&] {
    AccessGate lenient(kKey, clock_, /*without=*/true);
    EXPECT_EQ(lenient.Verify(Access().ref, half, kReadChunk).status().err(), EACCES);
    auto grant = lenient.Verify(Access().ref, {}, kWriteChunk);
    EXPECT_TRUE(grant.ok());
    EXPECT_TRUE(lenient.Check(*grant).ok());
    return *grant;
  }();
  EXPECT_TRUE(none.without);
}

TEST_F(GateTest, EveryPartOfATokenIsSigned) {
  Heard(1000);
  const TestAccess good = Access();
  const pb::ChunkAccess made = good.Signed();
  // Who shows something may have it from before the key changed, and asks for a new layout.
  auto refused = [&](pb::ChunkRef ref, pb::ChunkAccess access, const char* what,
                     Code code = Code::kTokenRefused) {
    const auto grant = gate_.Verify(ref, access, 0);
    EXPECT_EQ(grant.status().err(), EACCES) << what;
    EXPECT_EQ(grant.status().code(), code) << what;
  };
  pb::ChunkRef ref = good.ref;
  ref.set_volume(2);
  refused(ref, made, "another volume");
  ref = good.ref;
  ref.set_chunk(8);
  refused(ref, made, "another chunk");
  ref = good.ref;
  ref.set_version(4);
  refused(ref, made, "another version");
  pb::ChunkAccess a = made;
  a.set_session(made.session() + 1);
  refused(good.ref, a, "another session");
  a = made;
  a.mutable_ticket()->set_expires_ms(UINT64_MAX);
  refused(good.ref, a, "a longer life");
  a = made;
  a.mutable_ticket()->set_serial(UINT64_MAX);
  refused(good.ref, a, "a later serial");
  a = made;
  a.mutable_ticket()->set_clock(kClock + 1);
  refused(good.ref, a, "another clock");
  a = made;
  a.set_rights(made.rights() ^ kReadChunk);
  refused(good.ref, a, "other rights");
  a = made;
  a.mutable_mac()->pop_back();
  refused(good.ref, a, "half a signature");
  a = made;
  a.mutable_ticket()->clear_mac();
  refused(good.ref, a, "no ticket", Code::kNone);
  refused(good.ref, pb::ChunkAccess(), "nothing", Code::kNone);
  TestAccess foreign = Access();
  foreign.key = "the key of another chunkserver..";
  refused(good.ref, foreign.Signed(), "another chunkserver's");
  EXPECT_EQ(gate_.counters().forged, 12u);
}

TEST_F(GateTest, RightsAreForWhatTheyAreFor) {
  Heard(1000);
  TestAccess reader = Access();
  reader.rights = kReadChunk;
  EXPECT_TRUE(Try(reader, kReadChunk).ok());
  EXPECT_EQ(Try(reader, kWriteChunk).err(), EACCES);
  TestAccess writer = Access();
  writer.rights = kWriteChunk;
  EXPECT_EQ(Try(writer, kReadChunk).err(), EACCES);
}

TEST_F(GateTest, ATicketRunsOutBetweenItsCheckAndItsTurn) {
  Heard(1000);
  const TestAccess a = Access();
  auto grant = gate_.Verify(a.ref, a.Signed(), kWriteChunk);
  ASSERT_TRUE(grant.ok());
  EXPECT_TRUE(gate_.Check(*grant).ok());
  Advance(9000);
  EXPECT_EQ(gate_.Check(*grant).code(), Code::kTokenRefused);
  EXPECT_EQ(gate_.counters().expired, 1u);
}

TEST_F(GateTest, AClockThatIsNotKnownOpensNothing) {
  EXPECT_EQ(Try(Access()).code(), Code::kTokenRefused);
  EXPECT_EQ(gate_.counters().unknown_clock, 1u);
}

// The answer took its time: the owner's clock may have shown it at once, and go on since.
TEST_F(GateTest, ASlowHeartbeatNeverExtendsATicket) {
  const uint64_t asked = gate_.NowMs();
  Advance(4000);
  gate_.LearnClock(kClock, 6000, asked);
  EXPECT_EQ(Try(Access()).code(), Code::kTokenRefused) << "it may be 10000 there by now";
  Heard(6000);  // a quick one says more
  EXPECT_TRUE(Try(Access()).ok());
  Advance(3000);
  gate_.LearnClock(kClock, 9000, gate_.NowMs() - 3000);  // slow again: what was known is better
  EXPECT_TRUE(Try(Access()).ok());
}

TEST_F(GateTest, ClocksThatDriftAreAllowedFor) {
  Heard(1000);
  Advance(8995);  // theirs may be a thousandth ahead
  EXPECT_EQ(Try(Access()).code(), Code::kTokenRefused);
}

TEST_F(GateTest, AFenceEndsEarlierTicketsOnly) {
  Heard(1000);
  TestAccess old = Access(), renewed = Access(), other = Access();
  renewed.serial = old.serial + 1;
  other.session = old.session + 1;
  ASSERT_TRUE(gate_.Fence(FenceOf(old.session, renewed.serial)).ok());
  EXPECT_EQ(Try(old).code(), Code::kTokenRefused);
  EXPECT_TRUE(Try(renewed).ok());
  EXPECT_TRUE(Try(other).ok());
  ASSERT_TRUE(gate_.Fence(FenceOf(old.session, old.serial)).ok());  // comes late
  EXPECT_EQ(Try(old).code(), Code::kTokenRefused);
}

TEST_F(GateTest, ANewOwnerEndsWhatTheOneBeforeGaveOut) {
  Heard(1000);
  gate_.LearnClock(kClock + 1, 1000, gate_.NowMs());
  TestAccess before = Access(), after = Access();
  before.clock = kClock + 1;
  before.serial = 1000;
  ASSERT_TRUE(gate_.Fence(FenceOf(before.session, 0, /*others=*/true)).ok());
  EXPECT_EQ(Try(before).code(), Code::kTokenRefused);
  EXPECT_TRUE(Try(after).ok());
}

// The session expired and was revived by an owner that had not fenced it: what it gets counts.
TEST_F(GateTest, AFenceWhoseTimeIsOverRefusesNothing) {
  Heard(1000);
  TestAccess later = Access();
  later.clock = kClock + 1;
  later.expires_ms = 100000;
  gate_.LearnClock(later.clock, 1000, gate_.NowMs());
  ASSERT_TRUE(gate_.Fence(FenceOf(later.session, 1, /*others=*/true)).ok());
  EXPECT_EQ(Try(later).code(), Code::kTokenRefused);
  Advance(9000);  // it may be a thousandth behind
  EXPECT_EQ(Try(later).code(), Code::kTokenRefused);
  Advance(15);
  EXPECT_TRUE(Try(later).ok());
}

// Of a slow answer it is not known how much of the way was before the clock was read.
TEST_F(GateTest, ASlowHeartbeatNeverEndsAFenceEarly) {
  TestAccess before = Access();
  before.clock = kClock + 1;
  before.expires_ms = 100000;
  gate_.LearnClock(before.clock, 1000, gate_.NowMs());
  ASSERT_TRUE(gate_.Fence(FenceOf(before.session, 1, /*others=*/true)).ok());
  const uint64_t asked = gate_.NowMs();
  Advance(8000);
  gate_.LearnClock(kClock, 5000, asked);
  Advance(4000);
  EXPECT_EQ(Try(before).code(), Code::kTokenRefused) << "it may be 9000 there";
  Advance(1100);
  EXPECT_TRUE(Try(before).ok());
}

TEST_F(GateTest, AFenceOfAClockThatWasNeverHeardOfDoesNotLastForEver) {
  TestAccess later = Access();
  later.clock = kClock + 1;
  later.expires_ms = 2 * AccessGate::kFenceMsMax;
  gate_.LearnClock(later.clock, 1000, gate_.NowMs());
  ASSERT_TRUE(gate_.Fence(FenceOf(later.session, 1, /*others=*/true)).ok());
  Advance(AccessGate::kFenceMsMax - 1);
  EXPECT_EQ(Try(later).code(), Code::kTokenRefused);
  Advance(1);
  EXPECT_TRUE(Try(later).ok());
}

// The volume came back to the process that had it before.
TEST_F(GateTest, ANewOwnerEndsWhatItGaveOutWhenItWasTheOwnerBefore) {
  Heard(1000);
  TestAccess old = Access(), renewed = Access();
  renewed.serial = old.serial + 1;
  ASSERT_TRUE(gate_.Fence(FenceOf(old.session, renewed.serial, /*others=*/true)).ok());
  EXPECT_EQ(Try(old).code(), Code::kTokenRefused);
  EXPECT_TRUE(Try(renewed).ok());
}

TEST_F(GateTest, FencesAreBoundedAndGoWhenTheirTicketsHaveRunOut) {
  Heard(1000);
  for (uint64_t i = 0; i < AccessGate::kFencesMax; i += kInventoryBatch) {
    pb::FenceSessionsRequest r = FenceOf(1, 1);
    r.clear_fence();
    for (uint64_t j = i; j < i + kInventoryBatch; ++j) {
      auto* f = r.add_fence();
      f->set_session(100 + j);
      f->set_serial(2);
      f->set_expires_ms(10000);
    }
    ASSERT_TRUE(gate_.Fence(r).ok());
  }
  EXPECT_EQ(gate_.Fence(FenceOf(5, 2)).code(), Code::kTryAgain);
  Advance(9015);  // the clock may be a thousandth behind
  EXPECT_TRUE(gate_.Fence(FenceOf(5, 2)).ok());
  EXPECT_EQ(gate_.fences(), 1u);
}

// The write waits for its turn on the chunk while its session is fenced.
TEST(GateAndStore, AWriteIsAskedForItsTokenWhenItHasItsTurn) {
  TempDir dir;
  ManualClock clock;
  ChunkStore::Options options;
  options.data_dirs = {dir.path() + "/d0"};
  options.clock = &clock;
  auto store = ChunkStore::Open(options);
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  const std::string data(kBlockSize, 'x');
  const std::vector<uint32_t> crcs{Crc32c(data.data(), data.size())};
  const ChunkKey key{VolumeId(1), ChunkId(1)};
  uint64_t detail = 0;
  ASSERT_TRUE((*store)
                  ->Write(key, ChunkVersion(1), 0, data, crcs, Wait::kAllowed, &detail, false,
                          [] { return Status(); })
                  .ok());
  int asked = 0;
  const auto refuse = [&asked] {
    ++asked;
    return Status(EACCES, Code::kTokenRefused, "fenced");
  };
  const std::string late(kBlockSize, 'l');
  const std::vector<uint32_t> late_crcs{Crc32c(late.data(), late.size())};
  for (const Wait wait : {Wait::kNever, Wait::kAllowed}) {
    EXPECT_EQ((*store)
                  ->Write(key, ChunkVersion(1), 0, late, late_crcs, wait, &detail, true, refuse)
                  .status()
                  .code(),
              Code::kTokenRefused);
  }
  EXPECT_EQ((*store)
                ->Write({VolumeId(1), ChunkId(2)}, ChunkVersion(1), 0, late, late_crcs, Wait::kAllowed,
                        &detail, false, refuse)
                .status()
                .code(),
            Code::kTokenRefused);
  EXPECT_EQ(asked, 3);
  auto read = (*store)->Read(key, ChunkVersion(1), 0, kBlockSize, Wait::kAllowed, &detail);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->view(), data);
  EXPECT_EQ((*store)
                ->Read({VolumeId(1), ChunkId(2)}, ChunkVersion(1), 0, 1, Wait::kAllowed, &detail)
                .status()
                .code(),
            Code::kStaleChunk);
}

}  // namespace
}  // namespace kfs
