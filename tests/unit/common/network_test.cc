#include "common/network.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

TEST(Network, IsShownWithItsLength) {
  const std::pair<const char*, const char*> table[] = {
      {"10.0.0.0/8", "10.0.0.0/8"}, {"192.168.1.7", "192.168.1.7/32"},
      {"0.0.0.0/0", "0.0.0.0/0"},   {"2001:db8::/32", "2001:db8::/32"},
      {"::1", "::1/128"},           {"::/0", "::/0"}};
  for (const auto& [text, shown] : table) {
    auto r = ParseNetwork(text);
    ASSERT_TRUE(r.ok()) << text << ": " << r.status().ToString();
    EXPECT_EQ(*r, shown);
  }
  for (const char* bad : {"", "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.1/8",
                          "::1/129", "host", "10.0.0.0/8/8", " 10.0.0.0/8", "2001:db8::1/32"})
    EXPECT_FALSE(ParseNetwork(bad).ok()) << bad;
}

TEST(Network, HasItsAddresses) {
  const struct {
    const char *network, *address;
    bool in;
  } table[] = {{"10.0.0.0/8", "10.1.2.3", true},
               {"10.0.0.0/8", "10.1.2.3:7400", true},
               {"10.0.0.0/8", "11.0.0.1", false},
               {"10.0.0.0/8", "::ffff:10.1.2.3", true},
               {"10.0.0.0/8", "[::ffff:10.1.2.3]:80", true},
               {"192.168.1.7/32", "192.168.1.7:1", true},
               {"192.168.1.7/32", "192.168.1.6:1", false},
               {"192.168.1.0/25", "192.168.1.128", false},
               {"0.0.0.0/0", "1.2.3.4", true},
               {"0.0.0.0/0", "::1", false},
               {"::/0", "1.2.3.4", false},
               {"::/0", "[fe80::1%eth0]:7400", true},
               {"2001:db8::/32", "2001:db8:1::1", true},
               {"2001:db8::/32", "[2001:db9::1]:1", false},
               {"10.0.0.0/8", "", false},
               {"10.0.0.0/8", "/run/kfs/x.sock", false},
               {"nonsense", "10.1.2.3", false}};
  for (const auto& t : table)
    EXPECT_EQ(InNetwork(t.network, t.address), t.in) << t.network << " " << t.address;
}

}  // namespace
}  // namespace kfs
