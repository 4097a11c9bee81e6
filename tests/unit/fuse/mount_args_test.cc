#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fuse/mount.h"

namespace kfs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Source {
  const char* text;
  std::vector<std::string> hosts;
  const char* volume;
};

TEST(MountSource, Forms) {
  const Source table[] = {
      {"meta:/data", {"meta:7400"}, "data"},
      {"meta:7500:/data", {"meta:7500"}, "data"},
      {"127.0.0.1:/v", {"127.0.0.1:7400"}, "v"},
      {"a:1,b:2:/v", {"a:1", "b:2"}, "v"},
      {"a,b:7401,c:/v", {"a:7400", "b:7401", "c:7400"}, "v"},
      {"[::1]:7400:/v", {"[::1]:7400"}, "v"},
      {"[::1]:/v", {"[::1]:7400"}, "v"},
      {"[fe80::1]:1,[::2]:/v", {"[fe80::1]:1", "[::2]:7400"}, "v"},
      {"meta:/data/", {"meta:7400"}, "data"},
  };
  for (const Source& s : table) {
    auto r = ParseMountArgs(s.text, "/mnt", "");
    ASSERT_TRUE(r.ok()) << s.text << ": " << r.status().ToString();
    EXPECT_EQ(r->metaservers, s.hosts) << s.text;
    EXPECT_EQ(r->volume, s.volume) << s.text;
    EXPECT_EQ(r->source, s.text);
    EXPECT_EQ(r->mountpoint, "/mnt");
  }
}

TEST(MountSource, ADirectoryOfTheVolume) {
  const std::pair<const char*, const char*> table[] = {
      {"meta:/data/a", "a"},
      {"meta:/data//a/./b//", "a/b"},
      {"meta:/data/with blank/\xc3\xa4:/b", "with blank/\xc3\xa4:/b"},
      {"meta:/data", ""},
      {"meta:/data/./", ""},
  };
  for (const auto& [source, path] : table) {
    auto r = ParseMountArgs(source, "/mnt", "");
    ASSERT_TRUE(r.ok()) << source << ": " << r.status().ToString();
    EXPECT_EQ(r->volume, "data") << source;
    EXPECT_EQ(r->path, path) << source;
  }
  EXPECT_FALSE(ParseMountArgs("meta:/data/" + std::string(256, 'x'), "/mnt", "").ok());
  std::string deep = "meta:/data";
  for (int i = 0; i < 50; ++i) deep += "/" + std::string(100, 'x');
  EXPECT_FALSE(ParseMountArgs(deep, "/mnt", "").ok());
}

TEST(MountSource, RefusedWithWords) {
  const std::pair<const char*, const char*> table[] = {
      {"", "names no volume"},
      {"meta", "names no volume"},
      {"meta:7400", "names no volume"},
      {"meta:/", "volume's name is missing"},
      {"meta://a", "volume's name is missing"},
      {"meta:/a/../b", "without \"..\""},
      {":/v", "name is empty"},
      {"a,:/v", "name is empty"},
      {":7400:/v", "host is missing"},
      {"a:0:/v", "not a port"},
      {"a:65536:/v", "not a port"},
      {"a:port:/v", "not a port"},
      {"::1:/v", "IPv6"},
      {"[::1:/v", "IPv6"},
      {"[::1]x:/v", "may follow ]"},
  };
  for (const auto& [source, words] : table) {
    auto r = ParseMountArgs(source, "/mnt", "");
    ASSERT_FALSE(r.ok()) << source;
    EXPECT_EQ(r.status().err(), EINVAL);
    EXPECT_THAT(r.status().message(), HasSubstr(words)) << source;
  }
  EXPECT_FALSE(ParseMountArgs("h:/" + std::string(64, 'v'), "/mnt", "").ok());
  EXPECT_FALSE(ParseMountArgs("h:/v", "", "").ok());
}

TEST(MountOptionsTest, Defaults) {
  auto r = ParseMountArgs("h:/v", "/m", "");
  ASSERT_TRUE(r.ok());
  EXPECT_FALSE(r->soft);
  EXPECT_EQ(r->timeout, std::chrono::seconds(60));
  EXPECT_EQ(r->secret_file, "/etc/kfs/secret");
  EXPECT_EQ(r->flags, fuse::MountFlags());
  EXPECT_FALSE(r->allow_other);
}

TEST(MountOptionsTest, OurOwn) {
  auto r = ParseMountArgs("h:/v", "/m",
                          "soft,timeo=25,secretfile=/s,log=/l,loglevel=debug,pidfile=/p,metrics=unix:/"
                          "s,trace,allow_other,readdirplus,ro");
  ASSERT_TRUE(r.ok()) << r.status().ToString();
  EXPECT_TRUE(r->soft && r->trace && r->allow_other && r->readdirplus && r->flags.read_only);
  EXPECT_EQ(r->timeout, std::chrono::milliseconds(2500));
  EXPECT_EQ(r->secret_file, "/s");
  EXPECT_EQ(r->log_file, "/l");
  EXPECT_EQ(r->log_level, "debug");
  EXPECT_EQ(r->pid_file, "/p");
  EXPECT_EQ(r->metrics, "unix:/s");
}

TEST(MountOptionsTest, MetricsAreWhereTheServingProcessCanPutThem) {
  for (const char* address : {"unix:/run/m", "127.0.0.1:9100", "[::1]:9100"})
    EXPECT_TRUE(ParseMountArgs("h:/v", "/m", std::string("metrics=") + address).ok()) << address;
  for (const char* address : {"unix:m", "unix:", "localhost:9100", "127.0.0.1", "9100", "/run/m", ""})
    EXPECT_FALSE(ParseMountArgs("h:/v", "/m", std::string("metrics=") + address).ok()) << address;
}

TEST(MountOptionsTest, TheLastOfTwoThatContradictCounts) {
  EXPECT_FALSE(ParseMountArgs("h:/v", "/m", "soft,hard")->soft);
  EXPECT_TRUE(ParseMountArgs("h:/v", "/m", "hard,soft")->soft);
  EXPECT_FALSE(ParseMountArgs("h:/v", "/m", "ro,rw")->flags.read_only);
  EXPECT_EQ(ParseMountArgs("h:/v", "/m", "noatime,strictatime")->flags.Text(), "rw,strictatime");
  EXPECT_EQ(ParseMountArgs("h:/v", "/m", "strictatime,noatime")->flags.Text(), "rw,noatime");
  EXPECT_EQ(ParseMountArgs("h:/v", "/m", "nodev,nodiratime,dev,diratime")->flags.Text(), "rw,relatime");
}

TEST(MountOptionsTest, TheKernelsArePassedOnAndOthersIgnored) {
  auto r =
      ParseMountArgs("h:/v", "/m",
                     "rw,nodev,nosuid,noexec,noatime,auto,noauto,user,_netdev,nofail,x-systemd.automount,"
                     "x-gvfs-name=A,comment=hello,defaults,relatime,,");
  ASSERT_TRUE(r.ok()) << r.status().ToString();
  EXPECT_EQ(r->flags.Text(), "rw,nodev,nosuid,noexec,relatime");  // relatime came last
}

TEST(MountOptionsTest, WhatTheProcessServesByIsListedWithItsDefaults) {
  EXPECT_THAT(ServedOptions(*ParseMountArgs("h:/v", "/m", "ro,noatime")),
              ElementsAre("hard", "timeo=600", "secretfile=/etc/kfs/secret", "tls=required",
                          "socketdir=/run/kfs", "loglevel=info"));
  const std::string all =
      "soft,timeo=25,secretfile=/s,tls=accept,socketdir=,loglevel=debug,log=/l,pidfile=/"
      "p,metrics=127.0.0.1:9,trace,readdirplus,allow_other";
  const auto served = ServedOptions(*ParseMountArgs("h:/v", "/m", all));
  EXPECT_EQ(served, SplitOptions(all));
}

TEST(MountOptionsTest, RemountIsAWordOfItsOwn) {
  EXPECT_TRUE(IsRemount("ro,remount"));
  EXPECT_FALSE(IsRemount("ro,x-remount,log=remount"));
  EXPECT_FALSE(ParseMountArgs("h:/v", "/m", "remount").ok());
}

TEST(MountOptionsTest, UnknownAndMalformedAreRefusedWithWords) {
  const std::pair<const char*, const char*> table[] = {
      {"sofft", "\"sofft\" is not known"}, {"timeo", "needs a value"},
      {"timeo=0", "tenths of a second"},   {"timeo=x", "tenths of a second"},
      {"timeo=", "tenths of a second"},    {"log", "needs a value"},
      {"log=", "needs a value"},           {"soft=1", "takes no value"},
      {"loglevel=loud", "one of"},         {"X-mount.idmap=/proc/1/ns/user", "not possible"},
  };
  for (const auto& [option, words] : table) {
    auto r = ParseMountArgs("h:/v", "/m", option);
    ASSERT_FALSE(r.ok()) << option;
    EXPECT_THAT(r.status().message(), HasSubstr(words)) << option;
  }
}

}  // namespace
}  // namespace kfs
