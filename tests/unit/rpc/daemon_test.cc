#include "rpc/daemon.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/secret.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

// In a process of its own: both stay with the process.
TEST(Daemon, WhatItMakesAndItsMemoryAreItsOwn) {
  const pid_t pid = fork();
  if (pid == 0) {
    umask(0);
    KeepToOneself();
    _exit(umask(0) == 077 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Daemon, TheOptionsSayHowItLinks) {
  TempDir dir;
  ASSERT_TRUE(WriteSecretFile(dir.File("secret"), "a secret of at least sixteen bytes").ok());
  DaemonOptions options;
  ASSERT_TRUE(options.Set("secret-file", dir.File("secret")).ok());
  EXPECT_EQ(ReadCredentials(options)->policy().tls, TlsMode::kRequired);
  EXPECT_EQ(ReadCredentials(options)->policy().socket_dir, "/run/kfs");
  ASSERT_TRUE(options.Set("tls", "accept").ok());
  ASSERT_TRUE(options.Set("socket-dir", "").ok());
  EXPECT_EQ(ReadCredentials(options)->policy().tls, TlsMode::kAccept);
  EXPECT_EQ(ReadCredentials(options)->policy().socket_dir, "");
  ASSERT_TRUE(options.Set("tls", "yes").ok());
  EXPECT_EQ(ReadCredentials(options).status().err(), EINVAL);
}

TEST(Daemon, TheAddressFileIsForEverybody) {
  TempDir dir;
  const mode_t before = umask(077);
  ASSERT_TRUE(WriteAddressFile(dir.File("address"), "127.0.0.1:1").ok());
  umask(before);
  struct stat st;
  ASSERT_EQ(stat(dir.File("address").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0644u);
}

}  // namespace
}  // namespace kfs
