#include "common/options.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <regex>
#include <string>
#include <vector>

#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

struct TestOptions : OptionSet {
  Option<std::string> listen{this, "listen", "127.0.0.1:7400", "Address to listen on."};
  Option<std::string> log_file{this, "log-file", "", "Where to log."};
  Option<bool> create{this, "create-secret", false, "Make the secret."};
  Option<int64_t> ttl{this, "session-ttl", 30, 1, 3600, "Seconds."};
  Option<int64_t> cache{this, "cache-size", 64 << 20, "Bytes."};
  Option<double> ratio{this, "ratio", 0.5, 0.0, 1.0, "A part."};
  Option<std::vector<std::string>> dirs{this, "data-dirs", {"/a", "/b"}, "Directories."};
  Option<std::vector<std::string>> none{this, "labels", {}, "Labels."};
};

TEST(Options, BeginAtTheirDefaults) {
  TestOptions o;
  EXPECT_EQ(o.listen(), "127.0.0.1:7400");
  EXPECT_FALSE(o.create());
  EXPECT_EQ(o.ttl(), 30);
  EXPECT_EQ(o.dirs(), (std::vector<std::string>{"/a", "/b"}));
}

TEST(Options, ParseEachType) {
  TestOptions o;
  EXPECT_TRUE(o.Set("listen", "[::1]:1").ok());
  EXPECT_EQ(o.listen(), "[::1]:1");
  for (const char* yes : {"true", "yes", "on", "1"}) {
    EXPECT_TRUE(o.Set("create-secret", "no").ok());
    EXPECT_TRUE(o.Set("create-secret", yes).ok());
    EXPECT_TRUE(o.create()) << yes;
  }
  EXPECT_FALSE(o.Set("create-secret", "maybe").ok());
  EXPECT_TRUE(o.Set("cache-size", "3M").ok());
  EXPECT_EQ(o.cache(), 3 << 20);
  EXPECT_TRUE(o.Set("cache-size", "2T").ok());
  EXPECT_EQ(o.cache(), int64_t{2} << 40);
  EXPECT_TRUE(o.Set("ratio", "0.25").ok());
  EXPECT_EQ(o.ratio(), 0.25);
  EXPECT_TRUE(o.Set("data-dirs", "/x,/y,/z").ok());
  EXPECT_EQ(o.dirs(), (std::vector<std::string>{"/x", "/y", "/z"}));
  EXPECT_TRUE(o.Set("data-dirs", "").ok());
  EXPECT_TRUE(o.dirs().empty());
}

TEST(Options, PairsSplitAtTheFirstEqualsSign) {
  TestOptions o;
  EXPECT_TRUE(o.SetPair("log-file=/var/log/a=b").ok());
  EXPECT_EQ(o.log_file(), "/var/log/a=b");
  EXPECT_TRUE(o.SetPair("create-secret").ok()) << "a bare name switches on";
  EXPECT_TRUE(o.create());
}

TEST(Options, RefuseWhatIsOutOfBoundsAndKeepTheOldValue) {
  TestOptions o;
  for (const char* bad :
       {"0", "3601", "-1", "99999999999999999999", "9999999999T", "", "x", "1x", "1 ", "K", "1.5"}) {
    const Status s = o.Set("session-ttl", bad);
    EXPECT_EQ(s.err(), EINVAL) << bad;
    EXPECT_NE(s.message().find("session-ttl"), std::string::npos) << bad;
  }
  EXPECT_NE(o.Set("session-ttl", "3601").message().find("1 to 3600"), std::string::npos);
  EXPECT_EQ(o.ttl(), 30);
  EXPECT_TRUE(o.Set("session-ttl", "1").ok());
  EXPECT_TRUE(o.Set("session-ttl", "3600").ok());
  for (const char* bad : {"1.01", "-0.1", "nan", "half"}) EXPECT_FALSE(o.Set("ratio", bad).ok()) << bad;
}

TEST(Options, AnUnknownNameIsRefusedWithTheNearestKnown) {
  TestOptions o;
  EXPECT_NE(o.Set("sesion-ttl", "5").message().find("did you mean session-ttl?"), std::string::npos);
  EXPECT_NE(o.Set("listn", "5").message().find("did you mean listen?"), std::string::npos);
  const Status far = o.Set("completely-else", "5");
  EXPECT_EQ(far.err(), EINVAL);
  EXPECT_EQ(far.message().find("did you mean"), std::string::npos);
}

TEST(OptionsFile, IsTomlWithFlatKeys) {
  TempDir dir;
  TestOptions o;
  const Status s =
      o.LoadFile(dir.Write("a.conf",
                           "# comment\nlisten = \"0.0.0.0:1\"\nsession-ttl = 60\ncache-size = \"8K\"\n"
                           "create-secret = true\nratio = 0.75\ndata-dirs = [\"/1\", \"/2\"]\n"));
  ASSERT_TRUE(s.ok()) << s.ToString();
  EXPECT_EQ(o.listen(), "0.0.0.0:1");
  EXPECT_EQ(o.ttl(), 60);
  EXPECT_EQ(o.cache(), 8192);
  EXPECT_TRUE(o.create());
  EXPECT_EQ(o.ratio(), 0.75);
  EXPECT_EQ(o.dirs(), (std::vector<std::string>{"/1", "/2"}));
}

TEST(OptionsFile, ErrorsNameFileAndLine) {
  TempDir dir;
  const struct {
    const char* text;
    const char* line;
  } kCases[] = {
      {"\nsession-ttl = 0\n", ":2:"},
      {"\n\nsession-tll = 5\n", ":3:"},
      {"listen = \n", ":1:"},
      {"listen = \"a\"\nlisten = \"b\"\n", ":2:"},
      {"[section]\nlisten = \"a\"\n", ":1:"},
      {"session-ttl = true\n", ":1:"},
  };
  for (const auto& c : kCases) {
    TestOptions o;
    const std::string path = dir.Write("bad.conf", c.text);
    const Status s = o.LoadFile(path);
    ASSERT_FALSE(s.ok()) << c.text;
    EXPECT_NE(s.message().find(path + c.line), std::string::npos) << s.message();
  }
}

TEST(OptionsFile, MayHoldAnyLetter) {
  TempDir dir;
  TestOptions o;
  ASSERT_TRUE(o.LoadFile(dir.Write("utf8.conf", "# für Überprüfung\nlisten = \"ä\u3000Ж\" # ξ\n")).ok());
  EXPECT_EQ(o.listen(), "ä\u3000Ж");
  EXPECT_FALSE(o.LoadFile(dir.Write("bad.conf", "äöü = 1\n")).ok());
}

TEST(OptionsFile, AMissingFileIsAnError) {
  TestOptions o;
  TempDir dir;
  const Status s = o.LoadFile(dir.File("none"));
  EXPECT_FALSE(s.ok());
  EXPECT_NE(s.message().find(dir.File("none")), std::string::npos);
}

TEST(OptionsFile, ADirectoryIsNotAnEmptyFile) {
  TestOptions o;
  TempDir dir;
  EXPECT_EQ(o.LoadFile(dir.File("none")).err(), ENOENT);
  EXPECT_EQ(o.LoadFile(dir.File("")).err(), EINVAL);
}

TEST(OptionsFile, TheSampleParsesBackToTheDefaults) {
  TempDir dir;
  const std::string sample = TestOptions().Sample("kfs-test");
  const std::string active = std::regex_replace(sample, std::regex("\n#([a-z])"), "\n$1");
  EXPECT_NE(active, sample);
  TestOptions o;
  for (OptionBase* option : o.options()) {
    EXPECT_NE(sample.find("# " + option->help()), std::string::npos) << option->name();
    EXPECT_NE(sample.find("\n#" + option->name() + " = "), std::string::npos) << option->name();
  }
  (void)o.Set("listen", "changed");
  (void)o.Set("data-dirs", "/changed");
  (void)o.Set("session-ttl", "77");
  const Status s = o.LoadFile(dir.Write("sample.conf", active));
  ASSERT_TRUE(s.ok()) << s.ToString() << "\n" << active;
  TestOptions defaults;
  EXPECT_EQ(o.listen(), defaults.listen());
  EXPECT_EQ(o.ttl(), defaults.ttl());
  EXPECT_EQ(o.dirs(), defaults.dirs());
  EXPECT_EQ(o.none(), defaults.none());
  EXPECT_EQ(o.ratio(), defaults.ratio());
  EXPECT_TRUE(o.LoadFile(dir.Write("as-is.conf", sample)).ok()) << "also as it is printed";
}

TEST(OptionsFile, SurvivesRandomText) {
  TempDir dir;
  uint32_t seed = 12345;
  auto next = [&seed] { return seed = seed * 1664525 + 1013904223; };
  const std::string_view alphabet = "listen=\"'[]{}\n#,.5-tTruee \\\t\x80\xff";
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (uint32_t n = next() >> 26; n > 0; --n) text += alphabet[(next() >> 16) % alphabet.size()];
    TestOptions o;
    (void)o.LoadFile(dir.Write("random.conf", text));
  }
}

}  // namespace
}  // namespace kfs
