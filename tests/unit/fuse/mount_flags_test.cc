#include "fuse/mount_flags.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

namespace kfs::fuse {
namespace {

MountFlags Of(std::initializer_list<const char*> words) {
  MountFlags flags;
  for (const char* word : words) EXPECT_TRUE(flags.Take(word)) << word;
  return flags;
}

TEST(MountFlagsTest, WordsAndBitsAndTextAgree) {
  EXPECT_EQ(MountFlags().Bits(), uint64_t{MS_RELATIME});
  EXPECT_EQ(MountFlags().Text(), "rw,relatime");
  const MountFlags f = Of({"ro", "nosuid", "nodiratime", "dirsync", "noatime"});
  EXPECT_EQ(f.Bits(), uint64_t{MS_RDONLY | MS_NOSUID | MS_NODIRATIME | MS_DIRSYNC | MS_NOATIME});
  EXPECT_EQ(f.Text(), "ro,dirsync,nosuid,nodiratime,noatime");
  EXPECT_EQ(Of({"strictatime"}).Bits(), uint64_t{MS_STRICTATIME});
  EXPECT_EQ(Of({"noatime", "nostrictatime"}).Text(), "rw,noatime");
  EXPECT_EQ(Of({"noatime", "atime"}).Text(), "rw,relatime");
  EXPECT_EQ(Of({"strictatime", "norelatime"}).Text(), "rw,strictatime");
}

TEST(MountFlagsTest, OtherWordsAreNotTaken) {
  MountFlags flags;
  for (const char* word : {"", "r", "roo", "nodirsync", "hard", "ro=1"}) EXPECT_FALSE(flags.Take(word)) << word;
  EXPECT_EQ(flags, MountFlags());
}

constexpr char kInfo[] =
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "30 22 0:40 / /mnt/a\\040b rw,nosuid,relatime shared:7 master:1 - fuse.kfs h:/v\\0401 rw,lazytime,user_id=0\n"
    "31 22 0:41 / /mnt/x ro,nodev,noatime,nodiratime - fuse.kfs h:/v rw\n"
    "32 31 0:42 / /mnt/x rw - fuse.kfs h:/w ro,sync,dirsync\n"
    "damaged\n"
    "33 1 0:1 / /mnt/y\n";

TEST(MountFlagsTest, TheKernelsListIsUnderstood) {
  auto e = FindMount(kInfo, "/mnt/a b");
  ASSERT_TRUE(e);
  EXPECT_EQ(e->id, 30u);
  EXPECT_EQ(e->type, "fuse.kfs");
  EXPECT_EQ(e->source, "h:/v 1");
  EXPECT_EQ(e->flags.Text(), "rw,lazytime,nosuid,relatime");
  EXPECT_NE(e->options.find("user_id=0"), std::string::npos);
  EXPECT_EQ(FindMount(kInfo, 31)->flags.Text(), "ro,nodev,nodiratime,noatime");
  // Without a word of access times the mount is strict; read-only is either of the two.
  e = FindMount(kInfo, "/mnt/x");
  ASSERT_TRUE(e);
  EXPECT_EQ(e->id, 32u) << "what is on top is seen";
  EXPECT_EQ(e->flags.Text(), "ro,sync,dirsync,strictatime");
  EXPECT_FALSE(FindMount(kInfo, "/mnt/y"));
  EXPECT_FALSE(FindMount(kInfo, 99));
}

}  // namespace
}  // namespace kfs::fuse
