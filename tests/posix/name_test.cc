// Names: any bytes but NUL and '/', up to 255 of them, in paths of up to 4095.
#include <algorithm>
#include <climits>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class NameTest : public PosixTest {};

TEST_F(NameTest, OddNamesAreKeptByteForByte) {
  const std::vector<std::string> names = {
      " leading", "trailing ", "  ",       "new\nline",  "tab\t",     "back\\slash", "quote'\"",  "*?[x]",
      "-dash",    "--",        "...",      ".hidden",    "a.",        "~",           "#",         "%s%n",
      "\x01\x02", "\x7f",      "\xff\xfe", "\xc3\x28",   "übermäßig", "日本語",      "😀",         "CON",
      "con",      "a:b",       "a|b<c>",   "semi;colon", "$HOME",     "\r",          "e\xcc\x81", "\xc3\xa9"};
  for (const std::string& name : names) {
    WriteFile(name, name);
    CHECK_EQ(ReadFile(name), name);
  }
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  CHECK_TRUE(List(".") == sorted);
  for (const std::string& name : names) {
    CHECK_OK(rename(name.c_str(), (name + "2").c_str()));
    CHECK_OK(unlink((name + "2").c_str()));
  }
  CHECK_EQ(List(".").size(), 0);
}

TEST_F(NameTest, OddNamesWorkForDirectoriesAndLinks) {
  for (const char* name : {" ", "new\nline", "\xff", "...", "-"}) {
    CHECK_OK(mkdir(name, 0755));
    WriteFile(std::string(name) + "/f", "x");
    CHECK_OK(symlink(name, "s"));
    CHECK_EQ(ReadFile("s/f"), "x");
    CHECK_OK(unlink("s"));
    CHECK_OK(unlink((std::string(name) + "/f").c_str()));
    CHECK_OK(rmdir(name));
  }
}

TEST_F(NameTest, CaseMatters) {
  WriteFile("Name", "1");
  WriteFile("name", "2");
  WriteFile("NAME", "3");
  CHECK_EQ(ReadFile("Name"), "1");
  CHECK_EQ(ReadFile("name"), "2");
  CHECK_EQ(List(".").size(), 3);
}

TEST_F(NameTest, TwoHundredFiftyFiveBytesAreTheLimit) {
  std::string longest(255, 'n'), too_long(256, 'n');
  WriteFile(longest, "x");
  CHECK_EQ(ReadFile(longest), "x");
  CHECK_EQ(List("."), std::vector<std::string>{longest});
  CHECK_ERRNO(open(too_long.c_str(), O_RDONLY), ENAMETOOLONG);
  CHECK_ERRNO(open(too_long.c_str(), O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
  CHECK_ERRNO(mkdir(too_long.c_str(), 0755), ENAMETOOLONG);
  CHECK_ERRNO(rmdir(too_long.c_str()), ENAMETOOLONG);
  CHECK_ERRNO(symlink("x", too_long.c_str()), ENAMETOOLONG);
  CHECK_ERRNO(link(longest.c_str(), too_long.c_str()), ENAMETOOLONG);
  CHECK_ERRNO(rename(longest.c_str(), too_long.c_str()), ENAMETOOLONG);
  CHECK_ERRNO(rename(too_long.c_str(), "x"), ENAMETOOLONG);
  CHECK_ERRNO(unlink(too_long.c_str()), ENAMETOOLONG);
  CHECK_ERRNO(mkfifo(too_long.c_str(), 0644), ENAMETOOLONG);
  CHECK_ERRNO(chmod(too_long.c_str(), 0644), ENAMETOOLONG);
  CHECK_ERRNO(truncate(too_long.c_str(), 0), ENAMETOOLONG);
  CHECK_ERRNO(access(too_long.c_str(), F_OK), ENAMETOOLONG);
  CHECK_ERRNO(open((too_long + "/x").c_str(), O_RDONLY), ENAMETOOLONG);
  CHECK_EQ(pathconf(".", _PC_NAME_MAX), 255);
}

TEST_F(NameTest, MultiByteNamesCountBytes) {
  std::string name;
  while (name.size() + 2 <= 254) name += "ä";
  name += "x";  // 255 bytes
  WriteFile(name, "x");
  CHECK_TRUE(Exists(name));
  CHECK_ERRNO(open((name + "y").c_str(), O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
}

TEST_F(NameTest, LongestDirectoriesAndSymlinks) {
  std::string name(255, 'd');
  CHECK_OK(mkdir(name.c_str(), 0755));
  CHECK_OK(symlink("t", (name + "/" + std::string(255, 's')).c_str()));
  CHECK_OK(mkfifo((name + "/" + std::string(255, 'p')).c_str(), 0644));
  CHECK_EQ(List(name).size(), 2);
  CHECK_OK(rename(name.c_str(), std::string(255, 'e').c_str()));
}

TEST_F(NameTest, PathsReachFourThousandNinetyFiveBytes) {
  std::string component(200, 'p'), path;
  while (path.size() + component.size() + 1 < 3800) {
    path += component;
    CHECK_OK(mkdir(path.c_str(), 0755));
    path += "/";
  }
  std::string last = path + std::string(PATH_MAX - 1 - path.size(), '.').replace(0, 1, "f");
  while (last.size() > PATH_MAX - 1) last.pop_back();
  last.resize(path.size() + std::min<size_t>(255, last.size() - path.size()));
  std::string padding(PATH_MAX - 1 - last.size(), '/');  // repeated slashes fill the path up
  std::string longest = path + padding + last.substr(path.size());
  CHECK_EQ(longest.size(), PATH_MAX - 1);
  WriteFile(longest, "deep");
  CHECK_EQ(ReadFile(longest), "deep");
  CHECK_ERRNO(open((path + "/" + padding + last.substr(path.size())).c_str(), O_RDONLY), ENAMETOOLONG);
  CHECK_ERRNO(mkdir(std::string(PATH_MAX, 'x').c_str(), 0755), ENAMETOOLONG);
  CHECK_ERRNO(access(std::string(5000, '/').c_str(), F_OK), ENAMETOOLONG);
}

TEST_F(NameTest, TreesDeeperThanAnyPathAreReachedStepByStep) {
  std::string component(250, 'c');
  for (int depth = 0; depth < 20; ++depth) {
    CHECK_OK(mkdir(component.c_str(), 0755));
    CHECK_OK(chdir(component.c_str()));
  }
  WriteFile("bottom", "x");  // at more than 5000 bytes from the top
  CHECK_EQ(ReadFile("bottom"), "x");
  CHECK_OK(rename("bottom", "renamed"));
  for (int depth = 0; depth < 20; ++depth) CHECK_OK(chdir(".."));
  CHECK_EQ(Stat(".").st_ino, Stat(dir()).st_ino);
}

}  // namespace
}  // namespace kfs::posix_test
