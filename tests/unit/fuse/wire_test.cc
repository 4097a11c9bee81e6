#include "fuse/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace kfs::fuse {
namespace {

// A request message in memory of its own.
struct Request {
  Request(uint32_t opcode, const std::string& body) : bytes(sizeof(fuse_in_header) + body.size()) {
    fuse_in_header header = {};
    header.opcode = opcode;
    header.nodeid = 7;
    header.len = static_cast<uint32_t>(bytes.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, body.data(), body.size());
    message.data = bytes.data();
    message.size = bytes.size();
  }
  std::vector<char> bytes;
  Message message;
};

template <typename T>
std::string Bytes(const T& t) {
  return std::string(reinterpret_cast<const char*>(&t), sizeof t);
}

std::string InitReply(int32_t error = 0) {
  fuse_out_header header = {};
  header.error = error;
  fuse_init_out out = {};
  out.flags = 1;
  return Bytes(header) + Bytes(out);
}

fuse_init_out InitOut(const std::string& reply) {
  fuse_init_out out;
  std::memcpy(&out, reply.data() + sizeof(fuse_out_header), sizeof out);
  return out;
}

TEST(Init, OfferReadsUpperWordOnlyWhenExtended) {
  fuse_init_in in = {};
  in.flags2 = 1u << 4;
  EXPECT_EQ(OfferedFlags(Request(FUSE_INIT, Bytes(in)).message), 0u);
  in.flags = kInitExt;
  EXPECT_EQ(OfferedFlags(Request(FUSE_INIT, Bytes(in)).message), kInitExt | kDirectIoAllowMmap);
}

TEST(Init, OfferOfAnOldShortInitHasNoUpperWord) {
  fuse_init_in in = {};
  in.flags = kInitExt | 5;
  EXPECT_EQ(OfferedFlags(Request(FUSE_INIT, Bytes(in).substr(0, 16)).message), kInitExt | 5);
  EXPECT_EQ(OfferedFlags(Request(FUSE_INIT, "short").message), 0u);
}

TEST(Init, ReplyGetsWhatIsWantedAndOffered) {
  std::string reply = InitReply();
  PatchInitReply(kInitExt | kDirectIoAllowMmap | kHandleKillprivV2 | (1ull << 41), kInitWanted, reply.data(),
                 reply.size());
  EXPECT_EQ(InitOut(reply).flags, 1u | (1u << 30) | (1u << 28));
  EXPECT_EQ(InitOut(reply).flags2, 1u << 4);
}

TEST(Init, ReplyGetsNothingThatWasNotOffered) {
  std::string reply = InitReply();
  PatchInitReply(0, kInitWanted, reply.data(), reply.size());
  EXPECT_EQ(reply, InitReply());
  PatchInitReply(kHandleKillprivV2, kInitWanted, reply.data(), reply.size());
  EXPECT_EQ(InitOut(reply).flags, 1u | (1u << 28));
  EXPECT_EQ(InitOut(reply).flags2, 0u);
}

TEST(Init, UpperWordNeedsTheExtensionOffered) {
  std::string reply = InitReply();
  PatchInitReply(kDirectIoAllowMmap, kInitWanted, reply.data(), reply.size());
  EXPECT_EQ(reply, InitReply());
}

TEST(Init, ErrorsAndShortRepliesStayAsTheyAre) {
  std::string error = InitReply(-EPROTO);
  PatchInitReply(~0ull, kInitWanted, error.data(), error.size());
  EXPECT_EQ(error, InitReply(-EPROTO));
  std::string brief = InitReply().substr(0, sizeof(fuse_out_header) + 24);
  const std::string before = brief;
  PatchInitReply(~0ull, kInitWanted, brief.data(), brief.size());
  EXPECT_EQ(brief, before);
}

TEST(Tmpfile, BecomesACreateOfTheNameThatNoFileHas) {
  fuse_create_in in = {};
  in.mode = 0100640;
  Request request(FUSE_TMPFILE, Bytes(in) + "/" + std::string(1, '\0'));
  EXPECT_TRUE(RewriteTmpfile(request.message));
  EXPECT_EQ(request.message.header().opcode, uint32_t{FUSE_CREATE});
  EXPECT_STREQ(request.message.body() + sizeof in, "/");
  fuse_create_in after;
  std::memcpy(&after, request.message.body(), sizeof after);
  EXPECT_EQ(after.mode, 0100640u);
}

TEST(Tmpfile, OthersAndMalformedOnesAreLeftAlone) {
  fuse_create_in in = {};
  Request create(FUSE_CREATE, Bytes(in) + "f" + std::string(1, '\0'));
  EXPECT_FALSE(RewriteTmpfile(create.message));
  EXPECT_STREQ(create.message.body() + sizeof in, "f");
  Request brief(FUSE_TMPFILE, Bytes(in));
  EXPECT_FALSE(RewriteTmpfile(brief.message));
}

TEST(Statx, IsShownAsGetattr) {
  fuse_getattr_in in = {};
  in.getattr_flags = FUSE_GETATTR_FH;
  in.fh = 99;
  Request request(kStatx, Bytes(in) + std::string(8, 'x'));
  EXPECT_TRUE(RewriteStatx(request.message));
  EXPECT_EQ(request.message.header().opcode, uint32_t{FUSE_GETATTR});
  EXPECT_EQ(request.message.shown_for, kStatx);
  fuse_getattr_in after;
  std::memcpy(&after, request.message.body(), sizeof after);
  EXPECT_EQ(after.fh, 99u);
}

TEST(Statx, OthersAndMalformedOnesAreLeftAlone) {
  Request getattr(FUSE_GETATTR, Bytes(fuse_getattr_in{}));
  EXPECT_FALSE(RewriteStatx(getattr.message));
  EXPECT_EQ(getattr.message.shown_for, 0u);
  Request brief(kStatx, "short");
  EXPECT_FALSE(RewriteStatx(brief.message));
  EXPECT_EQ(brief.message.header().opcode, kStatx);
}

std::vector<std::pair<uint64_t, uint64_t>> Forgets(const Request& request) {
  std::vector<std::pair<uint64_t, uint64_t>> out;
  ForEachForget(request.message, [&out](uint64_t nodeid, uint64_t n) { out.emplace_back(nodeid, n); });
  return out;
}

TEST(Forget, OneAndMany) {
  fuse_forget_in one = {};
  one.nlookup = 3;
  EXPECT_THAT(Forgets(Request(FUSE_FORGET, Bytes(one))), testing::ElementsAre(std::pair(7ul, 3ul)));

  fuse_batch_forget_in batch = {};
  batch.count = 2;
  fuse_forget_one a = {10, 1}, b = {11, 5};
  EXPECT_THAT(Forgets(Request(FUSE_BATCH_FORGET, Bytes(batch) + Bytes(a) + Bytes(b))),
              testing::ElementsAre(std::pair(10ul, 1ul), std::pair(11ul, 5ul)));
}

TEST(Forget, CountBeyondTheMessageIsIgnored) {
  fuse_batch_forget_in batch = {};
  batch.count = 1000000;
  fuse_forget_one a = {10, 1};
  EXPECT_THAT(Forgets(Request(FUSE_BATCH_FORGET, Bytes(batch) + Bytes(a))),
              testing::ElementsAre(std::pair(10ul, 1ul)));
}

TEST(Interrupt, NamesItsRequest) {
  fuse_interrupt_in in = {};
  in.unique = 42;
  EXPECT_EQ(InterruptedUnique(Request(FUSE_INTERRUPT, Bytes(in)).message), 42u);
  EXPECT_FALSE(InterruptedUnique(Request(FUSE_INTERRUPT, "").message).has_value());
}

}  // namespace
}  // namespace kfs::fuse
