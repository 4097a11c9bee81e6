// O_APPEND: every record whole and in its own place, by several descriptors and processes.
#include <cstring>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class AppendTest : public PosixTest {
 protected:
  // A record of `size` bytes that says who wrote it and its number; every byte is checkable.
  static std::string Record(int writer, int number, size_t size) {
    char head[32];
    snprintf(head, sizeof head, "%02d:%06d:", writer, number);
    std::string record = head;
    record.resize(size - 1, static_cast<char>('a' + (writer + number) % 26));
    return record + "\n";
  }
  // Runs the writers, then checks that each record is there exactly once, whole, and in each writer's order.
  static void AppendTogether(int writers, int records, size_t size, bool reopen) {
    WriteFile("log", "");
    auto codes = RunTogether(writers, [&](int writer) {
      Fd fd = OpenOk("log", O_WRONLY | O_APPEND);
      for (int i = 0; i < records; ++i) {
        if (reopen) fd = Fd(open("log", O_WRONLY | O_APPEND));
        std::string record = Record(writer, i, size);
        if (write(fd, record.data(), record.size()) != static_cast<ssize_t>(record.size())) return 1;
      }
      return 0;
    });
    for (int code : codes) CHECK_EQ(code, 0);
    std::string log = ReadFile("log");
    CHECK_EQ(log.size(), writers * records * size);
    std::vector<int> next(static_cast<size_t>(writers), 0);
    int torn = 0;
    for (size_t at = 0; at + size <= log.size(); at += size) {
      int writer = atoi(log.c_str() + at);
      bool known = writer >= 0 && writer < writers;
      if (!known || log.compare(at, size, Record(writer, next[static_cast<size_t>(writer)]++, size)) != 0)
        ++torn;
    }
    CHECK_EQ(torn, 0);
  }
};

TEST_F(AppendTest, WritesGoToTheEndWhateverTheOffset) {
  WriteFile("f", "abc");
  Fd fd = OpenOk("f", O_RDWR | O_APPEND);
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  CHECK_EQ(write(fd, "def", 3), 3);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
  CHECK_EQ(ReadFile("f"), "abcdef");
  CHECK_EQ(lseek(fd, 1, SEEK_SET), 1);
  char byte;
  CHECK_EQ(read(fd, &byte, 1), 1);
  CHECK_EQ(byte, 'b');
}

TEST_F(AppendTest, PwriteOnAnAppendDescriptorAppendsOnLinux) {
  WriteFile("f", "abc");
  Fd fd = OpenOk("f", O_RDWR | O_APPEND);
  CHECK_EQ(pwrite(fd, "def", 3, 0), 3);
  CHECK_EQ(ReadFile("f"), "abcdef");
}

TEST_F(AppendTest, FollowsTruncationByOthers) {
  Fd log = OpenOk("f", O_WRONLY | O_CREAT | O_APPEND);
  CHECK_EQ(write(log, "first line\n", 11), 11);
  CHECK_OK(truncate("f", 0));
  CHECK_EQ(write(log, "second\n", 7), 7);
  CHECK_EQ(ReadFile("f"), "second\n");
  CHECK_OK(truncate("f", 100));
  CHECK_EQ(write(log, "x", 1), 1);
  CHECK_EQ(Stat("f").st_size, 101);
}

TEST_F(AppendTest, TwoDescriptorsInterleave) {
  Fd a = OpenOk("f", O_WRONLY | O_CREAT | O_APPEND);
  Fd b = OpenOk("f", O_WRONLY | O_APPEND);
  std::string model;
  for (int i = 0; i < 50; ++i) {
    std::string record = std::to_string(i) + "\n";
    CHECK_EQ(write(i % 2 != 0 ? a : b, record.data(), record.size()), record.size());
    model += record;
  }
  CHECK_EQ(ReadFile("f"), model);
}

TEST_F(AppendTest, SmallRecordsOfFourProcesses) { AppendTogether(4, 300, 64, false); }
TEST_F(AppendTest, UnevenRecordsOfThreeProcesses) { AppendTogether(3, 100, 4999, false); }
TEST_F(AppendTest, LargeRecordsOfThreeProcesses) { AppendTogether(3, 10, 100001, false); }
TEST_F(AppendTest, RecordsOfProcessesThatReopenTheFile) { AppendTogether(4, 100, 100, true); }

TEST_F(AppendTest, SharedDescriptorOfForkedChildren) {
  Fd fd = OpenOk("log", O_WRONLY | O_CREAT | O_APPEND);
  auto codes = RunTogether(4, [&](int writer) {
    for (int i = 0; i < 100; ++i) {
      std::string record = Record(writer, i, 50);
      if (write(fd, record.data(), 50) != 50) return 1;
    }
    return 0;
  });
  for (int code : codes) CHECK_EQ(code, 0);
  CHECK_EQ(Fstat(fd).st_size, 4 * 100 * 50);
}

}  // namespace
}  // namespace kfs::posix_test
