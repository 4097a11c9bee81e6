// Names made, moved and removed on A are so on B at once. Where it matters, B has looked before and may have
// cached.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "coherence.h"

namespace kfs::coherence {
namespace {

constexpr unsigned kNoReplace = 1, kExchange = 2;  // renameat2's flags

bool Exists(const std::string& path) {
  struct stat s;
  return lstat(path.c_str(), &s) == 0;
}
ino_t Inode(const std::string& path) {
  struct stat s;
  return lstat(path.c_str(), &s) == 0 ? s.st_ino : 0;
}
nlink_t Links(const std::string& path) {
  struct stat s;
  return lstat(path.c_str(), &s) == 0 ? s.st_nlink : 0;
}
std::string Target(const std::string& path) {
  char buffer[4096];
  ssize_t n = readlink(path.c_str(), buffer, sizeof buffer);
  return n < 0 ? "" : std::string(buffer, static_cast<size_t>(n));
}
int Rename2(const std::string& from, const std::string& to, unsigned flags) {
  return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
}

std::string CreateSeenByStat(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "x"));
  EXPECT(Exists(d.b + "/f"));
  return "";
}
std::string CreateSeenAfterMiss(const Dirs& d) {
  EXPECT(!Exists(d.b + "/f") && !Exists(d.b + "/f"));
  EXPECT(WriteFile(d.a + "/f", "x"));
  EXPECT(Exists(d.b + "/f"));
  EXPECT(HasContent(d.b + "/f", "x"));
  return "";
}
std::string CreateSeenByReaddir(const Dirs& d) {
  EXPECT(List(d.b).empty());
  EXPECT(WriteFile(d.a + "/f", ""));
  EXPECT(Listed(d.b, "f"));
  EXPECT(WriteFile(d.a + "/g", ""));
  EXPECT(List(d.b).size() == 2);
  return "";
}
std::string MkdirSeenAfterMiss(const Dirs& d) {
  EXPECT(!Exists(d.b + "/d"));
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0);
  EXPECT(WriteFile(d.b + "/d/f", "x"));
  EXPECT(HasContent(d.a + "/d/f", "x"));
  return "";
}
std::string SymlinkSeenAfterMiss(const Dirs& d) {
  EXPECT(!Exists(d.b + "/l"));
  EXPECT(symlink("one", (d.a + "/l").c_str()) == 0);
  EXPECT(Target(d.b + "/l") == "one");
  return "";
}
std::string SymlinkReplacedSeen(const Dirs& d) {
  EXPECT(symlink("one", (d.a + "/l").c_str()) == 0);
  EXPECT(Target(d.b + "/l") == "one");
  EXPECT(unlink((d.a + "/l").c_str()) == 0 && symlink("second", (d.a + "/l").c_str()) == 0);
  EXPECT(Target(d.b + "/l") == "second");
  return "";
}
std::string FifoSeen(const Dirs& d) {
  EXPECT(mkfifo((d.a + "/p").c_str(), 0600) == 0);
  struct stat s;
  EXPECT(lstat((d.b + "/p").c_str(), &s) == 0 && S_ISFIFO(s.st_mode));
  return "";
}
std::string UnlinkSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "x"));
  EXPECT(HasContent(d.b + "/f", "x"));
  EXPECT(unlink((d.a + "/f").c_str()) == 0);
  EXPECT(!Exists(d.b + "/f"));
  EXPECT_ERRNO(ENOENT, open((d.b + "/f").c_str(), O_RDONLY));
  return "";
}
std::string UnlinkSeenByReaddir(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "") && WriteFile(d.a + "/g", ""));
  EXPECT(List(d.b).size() == 2);
  EXPECT(unlink((d.a + "/f").c_str()) == 0);
  EXPECT(List(d.b) == std::vector<std::string>{"g"});
  return "";
}
std::string RmdirSeen(const Dirs& d) {
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0);
  EXPECT(Exists(d.b + "/d"));
  EXPECT(rmdir((d.a + "/d").c_str()) == 0);
  EXPECT(!Exists(d.b + "/d"));
  EXPECT_ERRNO(ENOENT, mkdir((d.b + "/d/e").c_str(), 0755));
  return "";
}
std::string RenameSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "x"));
  EXPECT(Exists(d.b + "/f") && !Exists(d.b + "/g"));
  EXPECT(rename((d.a + "/f").c_str(), (d.a + "/g").c_str()) == 0);
  EXPECT(!Exists(d.b + "/f"));
  EXPECT(HasContent(d.b + "/g", "x"));
  return "";
}
std::string RenameOverSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "new") && WriteFile(d.a + "/g", "old"));
  EXPECT(HasContent(d.b + "/g", "old"));
  EXPECT(rename((d.a + "/f").c_str(), (d.a + "/g").c_str()) == 0);
  EXPECT(HasContent(d.b + "/g", "new"));
  EXPECT(Inode(d.b + "/g") == Inode(d.a + "/g"));
  return "";
}
std::string ExchangeSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "1") && WriteFile(d.a + "/g", "2"));
  EXPECT(HasContent(d.b + "/f", "1") && HasContent(d.b + "/g", "2"));
  EXPECT(Rename2(d.a + "/f", d.a + "/g", kExchange) == 0);
  EXPECT(HasContent(d.b + "/f", "2") && HasContent(d.b + "/g", "1"));
  return "";
}
std::string NoReplaceSeesOthersFile(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "1"));
  EXPECT(!Exists(d.a + "/g"));
  EXPECT(WriteFile(d.b + "/g", "2"));
  EXPECT_ERRNO(EEXIST, Rename2(d.a + "/f", d.a + "/g", kNoReplace));
  return "";
}
std::string DirectoryRenameSeen(const Dirs& d) {
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0 && WriteFile(d.a + "/d/f", "x"));
  EXPECT(HasContent(d.b + "/d/f", "x"));
  EXPECT(rename((d.a + "/d").c_str(), (d.a + "/e").c_str()) == 0);
  EXPECT(!Exists(d.b + "/d/f"));
  EXPECT(HasContent(d.b + "/e/f", "x"));
  return "";
}
std::string MoveBetweenDirectoriesSeen(const Dirs& d) {
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0 && mkdir((d.a + "/e").c_str(), 0755) == 0 &&
         WriteFile(d.a + "/d/f", "x"));
  EXPECT(Listed(d.b + "/d", "f") && List(d.b + "/e").empty());
  EXPECT(rename((d.a + "/d/f").c_str(), (d.a + "/e/f").c_str()) == 0);
  EXPECT(List(d.b + "/d").empty() && Listed(d.b + "/e", "f"));
  return "";
}
std::string LinkCountSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "x"));
  EXPECT(Links(d.b + "/f") == 1);
  EXPECT(link((d.a + "/f").c_str(), (d.a + "/g").c_str()) == 0);
  EXPECT(Links(d.b + "/f") == 2 && Inode(d.b + "/f") == Inode(d.b + "/g"));
  EXPECT(unlink((d.a + "/f").c_str()) == 0);
  EXPECT(Links(d.b + "/g") == 1);
  return "";
}
std::string DirectoryLinksSeen(const Dirs& d) {
  nlink_t before = Links(d.b);
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0);
  EXPECT(Links(d.b) == before + 1);
  EXPECT(rmdir((d.a + "/d").c_str()) == 0);
  EXPECT(Links(d.b) == before);
  return "";
}
std::string ExclusiveCreateSeesOthers(const Dirs& d) {
  EXPECT(!Exists(d.b + "/f"));
  EXPECT(WriteFile(d.a + "/f", ""));
  EXPECT_ERRNO(EEXIST, open((d.b + "/f").c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644));
  return "";
}
std::string MkdirSeesOthers(const Dirs& d) {
  EXPECT(!Exists(d.b + "/d"));
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0);
  EXPECT_ERRNO(EEXIST, mkdir((d.b + "/d").c_str(), 0755));
  return "";
}
std::string RmdirSeesOthersEntry(const Dirs& d) {
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0);
  EXPECT(List(d.a + "/d").empty());
  EXPECT(WriteFile(d.b + "/d/f", ""));
  EXPECT_ERRNO(ENOTEMPTY, rmdir((d.a + "/d").c_str()));
  return "";
}
std::string CreateInDirectoryRemovedElsewhere(const Dirs& d) {
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0);
  Fd dir(d.b + "/d", O_RDONLY | O_DIRECTORY);
  EXPECT(dir.ok());
  EXPECT(rmdir((d.a + "/d").c_str()) == 0);
  EXPECT_ERRNO(ENOENT, openat(dir.get(), "f", O_CREAT | O_WRONLY, 0644));
  return "";
}
std::string OpenDirectorySeesNewName(const Dirs& d) {
  Fd dir(d.b, O_RDONLY | O_DIRECTORY);
  EXPECT(dir.ok());
  EXPECT_ERRNO(ENOENT, openat(dir.get(), "f", O_RDONLY));
  EXPECT(WriteFile(d.a + "/f", "x"));
  Fd f(openat(dir.get(), "f", O_RDONLY));
  EXPECT(f.ok() && ReadAt(f, 10, 0) == "x");
  return "";
}
std::string RewoundDirectorySeesNewName(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  DIR* dir = opendir(d.b.c_str());
  EXPECT(dir != nullptr);
  while (readdir(dir) != nullptr) {
  }
  bool made = WriteFile(d.a + "/g", "");
  rewinddir(dir);
  int seen = 0;
  while (dirent* entry = readdir(dir)) seen += entry->d_name[0] == 'g' ? 1 : 0;
  closedir(dir);
  EXPECT(made && seen == 1);
  return "";
}
std::string DirectoryTimeSeen(const Dirs& d) {
  struct stat before, after, own;
  EXPECT(stat(d.b.c_str(), &before) == 0);
  EXPECT(WriteFile(d.a + "/f", ""));
  EXPECT(stat(d.b.c_str(), &after) == 0 && stat(d.a.c_str(), &own) == 0);
  EXPECT(after.st_mtim.tv_sec == own.st_mtim.tv_sec && after.st_mtim.tv_nsec == own.st_mtim.tv_nsec);
  EXPECT(after.st_mtim.tv_sec > before.st_mtim.tv_sec || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec);
  return "";
}
std::string ReplacedFileStaysForItsReader(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "old"));
  Fd reader(d.b + "/f", O_RDONLY);
  EXPECT(reader.ok());
  EXPECT(WriteFile(d.a + "/t", "new") && rename((d.a + "/t").c_str(), (d.a + "/f").c_str()) == 0);
  EXPECT(ReadAt(reader, 10, 0) == "old");
  EXPECT(HasContent(d.b + "/f", "new"));
  return "";
}
std::string UnlinkedFileStaysForItsUser(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "old"));
  Fd user(d.b + "/f", O_RDWR);
  EXPECT(user.ok());
  EXPECT(unlink((d.a + "/f").c_str()) == 0);
  struct stat s;
  EXPECT(ReadAt(user, 10, 0) == "old");
  EXPECT(WriteAt(user, "more", 3) && ReadAt(user, 10, 0) == "oldmore");
  EXPECT(fstat(user.get(), &s) == 0 && s.st_nlink == 0 && s.st_size == 7);
  return "";
}
std::string SameInodeNumber(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  EXPECT(Inode(d.a + "/f") != 0 && Inode(d.a + "/f") == Inode(d.b + "/f"));
  return "";
}

}  // namespace

std::vector<Case> NameCases() {
  return {
      {"create is seen by stat", CreateSeenByStat},
      {"create is seen after a miss", CreateSeenAfterMiss},
      {"create is seen by readdir", CreateSeenByReaddir},
      {"mkdir is seen after a miss", MkdirSeenAfterMiss},
      {"symlink is seen after a miss", SymlinkSeenAfterMiss},
      {"a replaced symlink is seen", SymlinkReplacedSeen},
      {"a FIFO is seen", FifoSeen},
      {"unlink is seen", UnlinkSeen},
      {"unlink is seen by readdir", UnlinkSeenByReaddir},
      {"rmdir is seen", RmdirSeen},
      {"rename is seen", RenameSeen},
      {"rename over a file is seen", RenameOverSeen},
      {"an exchange is seen", ExchangeSeen},
      {"NOREPLACE sees the other's file", NoReplaceSeesOthersFile},
      {"rename of a directory is seen", DirectoryRenameSeen},
      {"a move between directories is seen", MoveBetweenDirectoriesSeen},
      {"link counts are seen", LinkCountSeen},
      {"a directory's link count is seen", DirectoryLinksSeen},
      {"O_EXCL sees the other's file", ExclusiveCreateSeesOthers},
      {"mkdir sees the other's directory", MkdirSeesOthers},
      {"rmdir sees the other's entry", RmdirSeesOthersEntry},
      {"create fails in a directory removed elsewhere", CreateInDirectoryRemovedElsewhere},
      {"an open directory sees a new name", OpenDirectorySeesNewName},
      {"a rewound directory sees a new name", RewoundDirectorySeesNewName},
      {"a directory's time is seen", DirectoryTimeSeen},
      {"a replaced file stays for its reader", ReplacedFileStaysForItsReader},
      {"an unlinked file stays for its user", UnlinkedFileStaysForItsUser},
      {"both show one inode number", SameInodeNumber},
  };
}

}  // namespace kfs::coherence
