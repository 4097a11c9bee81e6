// Where a backup is written to, and what becomes of what was there.
#include "cli/backup_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/unit/common/temp_dir.h"

namespace kfs::cli {
namespace {

namespace fs = std::filesystem;

class BackupFileTest : public testing::Test {
 protected:
  Result<uint64_t> Write(const std::string& path, bool replace = false) {
    auto out = BackupWriter::Open(path, replace);
    KFS_RETURN_IF_ERROR(out.status());
    pb::ImageManifest m;
    m.set_volume(7);
    pb::ImageFile* f = m.add_file();
    f->set_name("CURRENT");
    f->set_size(3);
    KFS_RETURN_IF_ERROR((*out)->Begin("CURRENT", 3));
    KFS_RETURN_IF_ERROR((*out)->Add("abc"));
    KFS_RETURN_IF_ERROR((*out)->End());
    KFS_RETURN_IF_ERROR((*out)->Finish(&m));
    return (*out)->bytes();
  }
  uint32_t VolumeIn(const std::string& path) {
    auto m = ReadBackup(path, 1 << 20, [](const auto&, uint64_t, std::string_view) { return Status(); });
    EXPECT_TRUE(m.ok()) << m.status().ToString();
    return m.ok() ? m->volume() : 0;
  }
  const TempDir temp_;
  const std::string dir_ = temp_.path(), file_ = dir_ + "/b.kfs";
};

TEST_F(BackupFileTest, AFileIsItsOwnersAndItsSizeIsTheOneOnDisk) {
  const mode_t old = umask(0);
  auto bytes = Write(file_);
  umask(old);
  ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
  EXPECT_EQ(*bytes, fs::file_size(file_));
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(VolumeIn(file_), 7u);
  EXPECT_EQ(Write(file_).status().err(), EEXIST);
  EXPECT_TRUE(Write(file_, true).ok());
  EXPECT_FALSE(fs::exists(file_ + ".part"));
}

TEST_F(BackupFileTest, WithoutItsEndNothingIsLeftAndWhatWasThereStays) {
  ASSERT_TRUE(Write(file_).ok());
  { ASSERT_TRUE(BackupWriter::Open(file_, true).ok()); }
  EXPECT_FALSE(fs::exists(file_ + ".part"));
  EXPECT_EQ(VolumeIn(file_), 7u);
}

TEST_F(BackupFileTest, LinksAreFollowed) {
  const std::string link = dir_ + "/link";
  ASSERT_EQ(symlink("b.kfs", link.c_str()), 0);
  ASSERT_TRUE(Write(link).ok());  // it led nowhere yet
  ASSERT_TRUE(Write(link, true).ok());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(VolumeIn(file_), 7u);
  EXPECT_EQ(Write(link).status().err(), EEXIST);
}

TEST_F(BackupFileTest, DevicesAndFifosAreWrittenToAndStay) {
  EXPECT_TRUE(Write("/dev/null", true).ok());
  EXPECT_TRUE(Write("/dev/null").ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(Write("/dev/full").status().err(), ENOSPC);
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_EQ(Write(dir_, true).status().err(), EISDIR);
  const std::string fifo = dir_ + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  uint64_t read_bytes = 0;
  std::thread reader([&] {
    const int fd = open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof(buffer))) > 0;) read_bytes += static_cast<uint64_t>(n);
    close(fd);
  });
  auto bytes = Write(fifo, true);
  reader.join();
  ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
  EXPECT_EQ(*bytes, read_bytes);
  EXPECT_TRUE(fs::is_fifo(fifo));
  EXPECT_EQ(ReadBackup(fifo, 1 << 20, nullptr).status().err(), ESPIPE);
  EXPECT_EQ(ReadBackup("-", 1 << 20, nullptr).status().err(), ESPIPE);
}

}  // namespace
}  // namespace kfs::cli
