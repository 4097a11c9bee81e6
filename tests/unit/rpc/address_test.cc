#include "rpc/address.h"

#include <gtest/gtest.h>

#include <future>

namespace kfs {
namespace {

TEST(Address, SplitsHostAndPort) {
  std::string host;
  uint16_t port = 0;
  ASSERT_TRUE(SplitAddress("example:123", 0, &host, &port).ok());
  EXPECT_EQ(host, "example");
  EXPECT_EQ(port, 123);
  ASSERT_TRUE(SplitAddress("[::1]:9", 0, &host, &port).ok());
  EXPECT_EQ(host, "::1");
  EXPECT_EQ(port, 9);
  ASSERT_TRUE(SplitAddress("example", 7400, &host, &port).ok());
  EXPECT_EQ(port, 7400);
  ASSERT_TRUE(SplitAddress("fe80::1", 7400, &host, &port).ok());
  EXPECT_EQ(host, "fe80::1");
  for (const char* bad : {"", ":1", "a:", "a:b", "a:70000", "[::1", "[::1]x", "a:-1"}) {
    EXPECT_FALSE(SplitAddress(bad, 0, &host, &port).ok()) << bad;
  }
}

TEST(Address, NumericAddressesPrintAsTheyAreWritten) {
  for (const char* text : {"127.0.0.1:7400", "[::1]:7400", "unix:/tmp/socket"}) {
    auto a = ParseNumericAddress(text, 0);
    ASSERT_TRUE(a.ok()) << text;
    EXPECT_EQ(a->ToString(), text);
  }
  EXPECT_FALSE(ParseNumericAddress("localhost:1", 0).ok());
}

TEST(Address, UnknownHostIsNamedInTheError) {
  LoopThread thread("test");
  auto alive = std::make_shared<int>(0);
  std::promise<Status> done;
  ResolveAddress(thread.loop(), "no-such-host.invalid:1", 0, std::weak_ptr<void>(alive),
                 [&](auto r) { done.set_value(r.status()); });
  Status s = done.get_future().get();
  EXPECT_EQ(s.err(), EHOSTUNREACH);
  EXPECT_NE(s.message().find("no-such-host.invalid"), std::string::npos);
}

}  // namespace
}  // namespace kfs
