#include "rpc/frame.h"

#include <gtest/gtest.h>

#include "common/crc32c.h"
#include "common/limits.h"
#include "proto/meta.pb.h"

namespace kfs {
namespace {

std::string Header(FrameHeader h) {
  std::string bytes(kFrameHeaderSize, '\0');
  EncodeHeader(h, bytes.data());
  return bytes;
}

TEST(Frame, HeaderSurvivesTheWay) {
  FrameHeader in{.op = 17,
                 .flags = kFlagReply,
                 .seq = 0x1122334455667788,
                 .body_size = 12,
                 .payload_size = 34,
                 .body_crc = 56};
  auto out = DecodeHeader(Header(in).data());
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->op, in.op);
  EXPECT_EQ(out->flags, in.flags);
  EXPECT_EQ(out->seq, in.seq);
  EXPECT_EQ(out->body_size, in.body_size);
  EXPECT_EQ(out->payload_size, in.payload_size);
  EXPECT_EQ(out->body_crc, in.body_crc);
}

TEST(Frame, HeaderIsLittleEndianAndStartsWithItsName) {
  std::string bytes = Header({.op = 0x0102, .seq = 1});
  EXPECT_EQ(bytes.substr(0, 4), "KFS1");
  EXPECT_EQ(bytes[4], 2);
  EXPECT_EQ(bytes[5], 1);
}

TEST(Frame, RefusesWhatTheProtocolDoesNotAllow) {
  FrameHeader good{.op = 17, .seq = 1};
  ASSERT_TRUE(DecodeHeader(Header(good).data()).ok());
  auto refused = [](FrameHeader h) {
    auto r = DecodeHeader(Header(h).data());
    return !r.ok() && r.status().code() == Code::kMalformed;
  };
  EXPECT_TRUE(refused({.op = 17, .seq = 0}));
  EXPECT_TRUE(refused({.op = 17, .flags = 0x80, .seq = 1}));
  EXPECT_TRUE(refused({.op = 17, .flags = kFlagError, .seq = 1}));
  EXPECT_TRUE(refused({.op = 17, .flags = kFlagLogged, .seq = 1}));
  EXPECT_TRUE(refused({.op = 17, .seq = 1, .body_size = kFrameBodyMax + 1}));
  EXPECT_TRUE(refused({.op = 17, .seq = 1, .payload_size = kFramePayloadMax + 1}));
  for (size_t at : {0u, 3u}) {
    std::string bytes = Header(good);
    bytes[at] ^= 0x40;
    EXPECT_FALSE(DecodeHeader(bytes.data()).ok()) << "byte " << at;
  }
}

TEST(Frame, EncodedFrameCarriesTheMessage) {
  pb::MkdirRequest request;
  request.set_name("dir");
  std::string frame = *EncodeFrame(Op::kMkdir, 0, 7, request, 99);
  auto header = DecodeHeader(frame.data());
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->payload_size, 99u);
  std::string body = frame.substr(kFrameHeaderSize);
  EXPECT_EQ(header->body_size, body.size());
  EXPECT_EQ(header->body_crc, Crc32c(body.data(), body.size()));
  pb::MkdirRequest out;
  ASSERT_TRUE(out.ParseFromString(body));
  EXPECT_EQ(out.name(), "dir");
  SetFrameSeq(frame, 8);
  EXPECT_EQ(DecodeHeader(frame.data())->seq, 8u);
  EXPECT_EQ(DecodeHeader(frame.data())->trace, 0u);
  SetFrameTrace(frame, {.id = 0xdeadbeef, .logged = true});
  EXPECT_EQ(DecodeHeader(frame.data())->trace, 0xdeadbeefu);
  EXPECT_EQ(DecodeHeader(frame.data())->flags, kFlagLogged);
  SetFrameTrace(frame, {});
  EXPECT_EQ(frame, *EncodeFrame(Op::kMkdir, 0, 8, request, 99));
}

}  // namespace
}  // namespace kfs
