// Extended attributes: every namespace, flag, size probe, limit and refusal.
#include <sys/xattr.h>

#include <algorithm>
#include <cstring>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class XattrTest : public PosixTest {
 protected:
  static int Set(const char* path, const std::string& name, const std::string& value, int flags = 0) {
    return setxattr(path, name.c_str(), value.data(), value.size(), flags);
  }
  static std::string Get(const char* path, const std::string& name) {
    std::string value(70000, '\0');
    ssize_t n = getxattr(path, name.c_str(), value.data(), value.size());
    return n < 0 ? "getxattr: " + ErrnoName(errno) : value.substr(0, static_cast<size_t>(n));
  }
  // The names of one namespace, sorted.
  static std::vector<std::string> Names(const char* path, const std::string& prefix) {
    std::string all(70000, '\0');
    ssize_t n = listxattr(path, all.data(), all.size());
    std::vector<std::string> names;
    for (ssize_t at = 0; at < n; at += static_cast<ssize_t>(strlen(all.c_str() + at)) + 1) {
      std::string name = all.c_str() + at;
      if (name.compare(0, prefix.size(), prefix) == 0) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(XattrTest, ValuesAreKeptOnFilesAndDirectories) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  for (const char* path : {"f", "d"}) {
    CHECK_ERRNO(getxattr(path, "user.a", nullptr, 0), ENODATA);
    CHECK_OK(Set(path, "user.a", "value"));
    CHECK_EQ(Get(path, "user.a"), "value");
    CHECK_OK(Set(path, "user.a", "a longer value"));
    CHECK_EQ(Get(path, "user.a"), "a longer value");
    CHECK_OK(Set(path, "user.empty", ""));
    CHECK_EQ(Get(path, "user.empty"), "");
    CHECK_OK(Set(path, "user.binary", std::string("\0\xff\n\0", 4)));
    CHECK_EQ(Get(path, "user.binary"), std::string("\0\xff\n\0", 4));
    CHECK_EQ(Names(path, "user.").size(), 3);
    CHECK_OK(removexattr(path, "user.a"));
    CHECK_ERRNO(removexattr(path, "user.a"), ENODATA);
    CHECK_ERRNO(getxattr(path, "user.a", nullptr, 0), ENODATA);
  }
}

TEST_F(XattrTest, CreateAndReplaceFlags) {
  WriteFile("f", "x");
  CHECK_ERRNO(Set("f", "user.a", "1", XATTR_REPLACE), ENODATA);
  CHECK_OK(Set("f", "user.a", "1", XATTR_CREATE));
  CHECK_ERRNO(Set("f", "user.a", "2", XATTR_CREATE), EEXIST);
  CHECK_EQ(Get("f", "user.a"), "1");
  CHECK_OK(Set("f", "user.a", "2", XATTR_REPLACE));
  CHECK_EQ(Get("f", "user.a"), "2");
  CHECK_ERRNO(Set("f", "user.a", "3", 0x40), EINVAL);
}

TEST_F(XattrTest, SizeIsProbedAndShortBuffersAreErange) {
  WriteFile("f", "x");
  CHECK_OK(Set("f", "user.a", "0123456789"));
  CHECK_EQ(getxattr("f", "user.a", nullptr, 0), 10);
  char buffer[100];
  CHECK_ERRNO(getxattr("f", "user.a", buffer, 9), ERANGE);
  CHECK_EQ(getxattr("f", "user.a", buffer, 10), 10);
  CHECK_EQ(getxattr("f", "user.a", buffer, 100), 10);
  ssize_t size = listxattr("f", nullptr, 0);
  CHECK_GE(size, 7);
  CHECK_ERRNO(listxattr("f", buffer, 3), ERANGE);
  CHECK_EQ(listxattr("f", buffer, sizeof buffer), size);
}

TEST_F(XattrTest, DescriptorCallsAreTheSame) {
  WriteFile("f", "x");
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_OK(fsetxattr(fd, "user.a", "value", 5, 0));
  char buffer[100];
  CHECK_EQ(fgetxattr(fd, "user.a", buffer, sizeof buffer), 5);
  CHECK_EQ(Get("f", "user.a"), "value");
  CHECK_GE(flistxattr(fd, buffer, sizeof buffer), 7);
  CHECK_OK(unlink("f"));
  CHECK_EQ(fgetxattr(fd, "user.a", buffer, sizeof buffer), 5);  // without a name, too
  CHECK_OK(fsetxattr(fd, "user.b", "v", 1, 0));
  CHECK_OK(fremovexattr(fd, "user.a"));
  CHECK_ERRNO(fgetxattr(fd, "user.a", buffer, sizeof buffer), ENODATA);
  CHECK_ERRNO(fgetxattr(-1, "user.a", buffer, sizeof buffer), EBADF);
}

TEST_F(XattrTest, NamesAreLimited) {
  WriteFile("f", "x");
  std::string longest = "user." + std::string(250, 'n');
  CHECK_OK(Set("f", longest, "v"));
  CHECK_EQ(Get("f", longest), "v");
  CHECK_TRUE(Names("f", "user.") == std::vector<std::string>{longest});
  CHECK_ERRNO(Set("f", longest + "n", "v"), ERANGE);
  CHECK_ERRNO(Set("f", "", "v"), ERANGE);
  CHECK_ERRNO(Set("f", "user.", "v"), EINVAL);
  CHECK_ERRNO(Set("f", "unknown.name", "v"), EOPNOTSUPP);
  CHECK_ERRNO(Set("f", "noprefix", "v"), EOPNOTSUPP);
  CHECK_ERRNO(getxattr("f", "unknown.name", nullptr, 0), EOPNOTSUPP, ENODATA);
}

TEST_F(XattrTest, ValuesAreLimited) {
  WriteFile("f", "x");
  std::string value = Pattern(2000);
  CHECK_OK(Set("f", "user.large", value));
  CHECK_TRUE(Get("f", "user.large") == value);
  CHECK_ERRNO(Set("f", "user.too-large", std::string(65537, 'v')), E2BIG);
  CHECK_ERRNO(Set("f", "user.largest", std::string(65536, 'v')), 0, ENOSPC);  // ext4 has one block
  CHECK_TRUE(Get("f", "user.large") == value);
}

TEST_F(XattrTest, ManyNamesAreAllListed) {
  WriteFile("f", "x");
  for (int i = 0; i < 40; ++i) CHECK_OK(Set("f", "user.name" + std::to_string(i), std::to_string(i)));
  CHECK_EQ(Names("f", "user.name").size(), 40);
  for (int i = 0; i < 40; i += 2) CHECK_OK(removexattr("f", ("user.name" + std::to_string(i)).c_str()));
  CHECK_EQ(Names("f", "user.name").size(), 20);
  CHECK_EQ(Get("f", "user.name39"), "39");
}

TEST_F(XattrTest, HardLinksShareAndRenameAndCopiesKeep) {
  WriteFile("f", "x");
  CHECK_OK(Set("f", "user.a", "1"));
  CHECK_OK(link("f", "g"));
  CHECK_EQ(Get("g", "user.a"), "1");
  CHECK_OK(rename("f", "h"));
  CHECK_EQ(Get("h", "user.a"), "1");
  WriteFile("h", "new content");
  CHECK_EQ(Get("h", "user.a"), "1");
  CHECK_OK(unlink("g"));
  CHECK_OK(unlink("h"));
  WriteFile("h", "new file");
  CHECK_ERRNO(getxattr("h", "user.a", nullptr, 0), ENODATA);
}

TEST_F(XattrTest, UserNamespaceIsForFilesAndDirectories) {
  WriteFile("f", "x");
  CHECK_OK(symlink("f", "s"));
  CHECK_OK(mkfifo("p", 0644));
  CHECK_ERRNO(lsetxattr("s", "user.a", "v", 1, 0), EPERM);
  CHECK_ERRNO(Set("p", "user.a", "v"), EPERM);
  CHECK_ERRNO(lgetxattr("s", "user.a", nullptr, 0), ENODATA, EPERM);
  CHECK_OK(setxattr("s", "user.a", "v", 1, 0));  // follows the link
  CHECK_EQ(Get("f", "user.a"), "v");
  CHECK_ERRNO(Set("missing", "user.a", "v"), ENOENT);
}

TEST_F(XattrTest, UserNamespaceFollowsFilePermissions) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(Set("f", "user.a", "v"));
  CHECK_OK_AS(kNobody, getxattr("f", "user.a", nullptr, 0));
  CHECK_ERRNO_AS(kNobody, Set("f", "user.a", "w"), EACCES);
  CHECK_ERRNO_AS(kNobody, removexattr("f", "user.a"), EACCES);
  CHECK_OK(chmod("f", 0622));
  CHECK_ERRNO_AS(kNobody, getxattr("f", "user.a", nullptr, 0), EACCES);
  CHECK_OK_AS(kNobody, Set("f", "user.a", "w"));
  CHECK_OK_AS(kNobody, listxattr("f", nullptr, 0));
}

TEST_F(XattrTest, StickyDirectoryAttributesBelongToItsOwner) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("t", 0777));
  CHECK_OK(chmod("t", 01777));
  CHECK_ERRNO_AS(kNobody, Set("t", "user.a", "v"), EPERM);
  CHECK_OK(chmod("t", 0777));
  CHECK_OK_AS(kNobody, Set("t", "user.a", "v"));
}

TEST_F(XattrTest, TrustedIsForRoot) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(chmod("f", 0666));
  CHECK_OK(Set("f", "trusted.a", "secret"));
  CHECK_EQ(Get("f", "trusted.a"), "secret");
  CHECK_EQ(Names("f", "trusted.").size(), 1);
  CHECK_ERRNO_AS(kNobody, getxattr("f", "trusted.a", nullptr, 0), ENODATA, EPERM);
  CHECK_ERRNO_AS(kNobody, Set("f", "trusted.a", "v"), EPERM);
  CHECK_ERRNO_AS(kNobody, removexattr("f", "trusted.a"), EPERM, ENODATA);
  CHECK_EQ(AsUser(kNobody, [] { return Names("f", "trusted.").size(); }), 0);
  CHECK_OK(symlink("f", "s"));
  CHECK_OK(lsetxattr("s", "trusted.link", "v", 1, 0));
  CHECK_EQ(lgetxattr("s", "trusted.link", nullptr, 0), 1);
  CHECK_OK(removexattr("f", "trusted.a"));
}

TEST_F(XattrTest, SecurityIsReadByAllAndWrittenByRoot) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(chmod("f", 0666));
  CHECK_OK(Set("f", "security.kfs-test", "label"));
  CHECK_EQ(Get("f", "security.kfs-test"), "label");
  CHECK_OK_AS(kNobody, getxattr("f", "security.kfs-test", nullptr, 0));
  CHECK_ERRNO_AS(kNobody, Set("f", "security.kfs-test", "v"), EPERM);
  CHECK_OK(removexattr("f", "security.kfs-test"));
}

}  // namespace
}  // namespace kfs::posix_test
