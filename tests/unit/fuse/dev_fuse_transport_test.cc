#include "fuse/dev_fuse_transport.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

namespace kfs::fuse {
namespace {

using testing::HasSubstr;

struct Sink : RequestSink {
  explicit Sink(EventLoop& l) : loop(l) {}
  void OnRequest(Message&) override { ++requests; }
  void OnForget(uint64_t, uint64_t) override {}
  void OnInterrupt(uint64_t) override {}
  void OnQueueEmpty() override { loop.Stop(); }
  void OnEnd(Status why) override {
    ++ends;
    end = std::move(why);
    loop.Stop();
  }
  EventLoop& loop;
  int requests = 0, ends = 0;
  Status end;
};

// Reads once what `fd` gives.
Status EndOf(int fd) {
  EventLoop loop;
  Sink sink(loop);
  DevFuseTransport transport(loop, fd, sink);
  loop.Post([&] { transport.Poke(); });
  loop.Run();
  EXPECT_EQ(sink.requests, 0);
  EXPECT_EQ(sink.ends, 1);
  return sink.end;
}

TEST(DevFuseTransportTest, AnErrorIsTheEndAndSaysWhich) {
  const int unmounted = open("/dev/fuse", O_RDWR);  // belongs to no mount
  if (unmounted < 0) GTEST_SKIP() << "needs /dev/fuse";
  const Status none = EndOf(unmounted);
  EXPECT_EQ(none.err(), EPERM) << none.ToString();
  EXPECT_THAT(none.ToString(), HasSubstr("the descriptor belongs to no mount"));
  close(unmounted);
  const int directory = open("/", O_RDONLY | O_DIRECTORY);
  const Status other = EndOf(directory);
  EXPECT_EQ(other.err(), EISDIR);
  EXPECT_THAT(other.ToString(), HasSubstr("not an error that the kernel is known to give"));
  close(directory);
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  close(fds[1]);
  EXPECT_EQ(EndOf(fds[0]).err(), EIO) << "an end of file";
  close(fds[0]);
}

}  // namespace
}  // namespace kfs::fuse
