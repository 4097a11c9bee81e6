// fcntl, OFD and flock locks hold across mounts. The holder on A is this process, the other on B is always a
// Peer, because a process does not conflict with its own fcntl locks.

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include "coherence.h"

namespace kfs::coherence {
namespace {

int Lock(const Fd& fd, int command, short type, off_t start = 0, off_t length = 0) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return fcntl(fd.get(), command, &lock);
}
bool Refused(int result) { return result < 0 && (errno == EAGAIN || errno == EACCES); }

// What B may do while A holds its lock: the body runs in a Peer with the file open on B.
bool OnB(const Dirs& d, const std::function<bool(const Fd&)>& body) {
  Peer peer([&](Peer&) {
    Fd fd(d.b + "/f", O_RDWR);
    return fd.ok() && body(fd) ? 0 : 1;
  });
  return peer.EndsWell();
}

// A blocks B, `release` ends that: B must wait until then, and must get the lock.
std::string BlocksUntil(const Dirs& d, const std::function<int(const Fd&)>& lock_a,
                        const std::function<int(const Fd&)>& lock_b,
                        const std::function<bool(Fd&)>& release) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && lock_a(a) == 0);
  Peer peer([&](Peer& parent) {
    a.Close();  // inherited: it would keep a flock alive after A's close
    Fd b(d.b + "/f", O_RDWR);
    parent.Tell();
    if (!b.ok() || lock_b(b) != 0) return 1;
    parent.Tell();
    return 0;
  });
  EXPECT(peer.Wait());
  EXPECT(!peer.Wait(Peer::kBlockedMs));
  EXPECT(release(a));
  EXPECT(peer.Wait());
  EXPECT(peer.EndsWell());
  return "";
}

std::string FcntlConflict(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Lock(a, F_SETLK, F_WRLCK) == 0);
  EXPECT(OnB(d, [](const Fd& b) {
    return Refused(Lock(b, F_SETLK, F_WRLCK)) && Refused(Lock(b, F_SETLK, F_RDLCK));
  }));
  EXPECT(Lock(a, F_SETLK, F_UNLCK) == 0);
  EXPECT(OnB(d, [](const Fd& b) { return Lock(b, F_SETLK, F_WRLCK) == 0; }));
  return "";
}
std::string FcntlGetLock(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Lock(a, F_SETLK, F_WRLCK, 100, 50) == 0);
  EXPECT(OnB(d, [](const Fd& b) {
    struct flock lock = {};
    lock.l_type = F_RDLCK;
    return fcntl(b.get(), F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_start == 100 &&
           lock.l_len == 50;
  }));
  return "";
}
std::string FcntlSharedTogether(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Lock(a, F_SETLK, F_RDLCK) == 0);
  EXPECT(OnB(
      d, [](const Fd& b) { return Lock(b, F_SETLK, F_RDLCK) == 0 && Refused(Lock(b, F_SETLK, F_WRLCK)); }));
  return "";
}
std::string FcntlRanges(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Lock(a, F_SETLK, F_WRLCK, 0, 100) == 0);
  EXPECT(Lock(a, F_SETLK, F_UNLCK, 40, 20) == 0);  // splits it
  EXPECT(OnB(d, [](const Fd& b) {
    return Lock(b, F_SETLK, F_WRLCK, 40, 20) == 0 && Lock(b, F_SETLK, F_WRLCK, 100, 10) == 0 &&
           Refused(Lock(b, F_SETLK, F_WRLCK, 39, 1)) && Refused(Lock(b, F_SETLK, F_WRLCK, 60, 1));
  }));
  return "";
}
std::string FcntlWaits(const Dirs& d) {
  return BlocksUntil(
      d, [](const Fd& a) { return Lock(a, F_SETLK, F_WRLCK); },
      [](const Fd& b) { return Lock(b, F_SETLKW, F_WRLCK); },
      [](Fd& a) { return Lock(a, F_SETLK, F_UNLCK) == 0; });
}
std::string FcntlReleasedByClose(const Dirs& d) {
  return BlocksUntil(
      d, [](const Fd& a) { return Lock(a, F_SETLK, F_WRLCK); },
      [](const Fd& b) { return Lock(b, F_SETLKW, F_RDLCK); }, [](Fd& a) { return a.Close(); });
}
std::string FcntlReleasedByDeath(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  Peer holder([&](Peer& parent) {
    Fd a(d.a + "/f", O_RDWR);
    if (Lock(a, F_SETLK, F_WRLCK) != 0) return 1;
    parent.Tell();
    parent.Wait();
    return 0;
  });
  EXPECT(holder.Wait());
  EXPECT(OnB(d, [](const Fd& b) { return Refused(Lock(b, F_SETLK, F_WRLCK)); }));
  holder.Kill();
  EXPECT(OnB(d, [](const Fd& b) { return Lock(b, F_SETLKW, F_WRLCK) == 0; }));
  return "";
}
std::string FcntlDeadlock(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Lock(a, F_SETLK, F_WRLCK, 0, 1) == 0);
  Peer peer([&](Peer& parent) {
    Fd b(d.b + "/f", O_RDWR);
    if (Lock(b, F_SETLK, F_WRLCK, 1, 1) != 0) return 2;
    parent.Tell();
    bool got = Lock(b, F_SETLKW, F_WRLCK, 0, 1) == 0;
    return got ? 0 : errno == EDEADLK ? 1 : 3;
  });
  EXPECT(peer.Wait());
  // Whoever asks second closes the circle and must be told; the other then gets its lock.
  int result = Lock(a, F_SETLKW, F_WRLCK, 1, 1);
  bool detected = result < 0 && errno == EDEADLK;
  EXPECT(detected || result == 0);
  EXPECT(Lock(a, F_SETLK, F_UNLCK) == 0);
  bool peer_got = peer.EndsWell();
  EXPECT(detected == peer_got);
  return "";
}
void Nothing(int) {}
std::string FcntlWaitInterrupted(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Lock(a, F_SETLK, F_WRLCK) == 0);
  EXPECT(OnB(d, [](const Fd& b) {
    struct sigaction action = {};
    action.sa_handler = Nothing;
    sigaction(SIGALRM, &action, nullptr);
    alarm(1);
    return Lock(b, F_SETLKW, F_WRLCK) < 0 && errno == EINTR;
  }));
  return "";
}
std::string OfdConflict(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Lock(a, F_OFD_SETLK, F_WRLCK) == 0);
  EXPECT(OnB(d, [](const Fd& b) {
    return Refused(Lock(b, F_OFD_SETLK, F_WRLCK)) && Refused(Lock(b, F_SETLK, F_WRLCK));
  }));
  EXPECT(a.Close());
  EXPECT(OnB(d, [](const Fd& b) { return Lock(b, F_OFD_SETLKW, F_WRLCK) == 0; }));
  return "";
}
std::string FlockConflict(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && flock(a.get(), LOCK_EX) == 0);
  EXPECT(OnB(d, [](const Fd& b) { return flock(b.get(), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK; }));
  EXPECT(flock(a.get(), LOCK_UN) == 0);
  EXPECT(OnB(d, [](const Fd& b) { return flock(b.get(), LOCK_EX | LOCK_NB) == 0; }));
  return "";
}
std::string FlockSharedTogether(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && flock(a.get(), LOCK_SH) == 0);
  EXPECT(OnB(d, [](const Fd& b) {
    return flock(b.get(), LOCK_SH | LOCK_NB) == 0 && flock(b.get(), LOCK_EX | LOCK_NB) < 0;
  }));
  return "";
}
std::string FlockWaits(const Dirs& d) {
  return BlocksUntil(
      d, [](const Fd& a) { return flock(a.get(), LOCK_EX); },
      [](const Fd& b) { return flock(b.get(), LOCK_EX); },
      [](Fd& a) { return flock(a.get(), LOCK_UN) == 0; });
}
std::string FlockWaitEndedByClose(const Dirs& d) {
  return BlocksUntil(
      d, [](const Fd& a) { return flock(a.get(), LOCK_EX); },
      [](const Fd& b) { return flock(b.get(), LOCK_SH); }, [](Fd& a) { return a.Close(); });
}
std::string FlockReleasedByCloseAtOnce(const Dirs& d) {
  Fd b(d.b + "/f", O_RDWR | O_CREAT);
  for (int i = 0; i < 50; ++i) {
    Fd a(d.a + "/f", O_RDWR);
    EXPECT(flock(a.get(), LOCK_EX | LOCK_NB) == 0);
    EXPECT_ERRNO(EWOULDBLOCK, flock(b.get(), LOCK_EX | LOCK_NB));
    EXPECT(a.Close());
    EXPECT(flock(b.get(), LOCK_EX | LOCK_NB) == 0);
    EXPECT(flock(b.get(), LOCK_UN) == 0);
  }
  return "";
}
std::string FlockWaiterCanBeKilled(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && flock(a.get(), LOCK_EX) == 0);
  Peer peer([&](Peer& parent) {
    Fd b(d.b + "/f", O_RDWR);
    parent.Tell();
    return flock(b.get(), LOCK_EX);
  });
  EXPECT(peer.Wait());
  EXPECT(!peer.Wait(Peer::kBlockedMs));
  peer.Kill();  // hangs, and so fails, if the waiter cannot be killed
  EXPECT(flock(a.get(), LOCK_UN) == 0);
  EXPECT(OnB(d, [](const Fd& b) { return flock(b.get(), LOCK_EX) == 0; }));
  return "";
}

// Counts to 2 * kRounds in the file, each step under the lock, from both sides at once.
std::string CountUnder(const Dirs& d, const std::function<int(const Fd&)>& lock,
                       const std::function<int(const Fd&)>& unlock) {
  constexpr int kRounds = 200;
  EXPECT(WriteFile(d.a + "/f", "000000"));
  auto count = [&](const std::string& dir) {
    Fd fd(dir + "/f", O_RDWR);
    for (int i = 0; i < kRounds; ++i) {
      if (lock(fd) != 0) return 1;
      int value = std::atoi(ReadAt(fd, 6, 0).c_str());
      char text[16];
      std::snprintf(text, sizeof text, "%06d", value + 1);
      if (!WriteAt(fd, text, 0) || unlock(fd) != 0) return 1;
    }
    return 0;
  };
  Peer peer([&](Peer&) { return count(d.b); });
  EXPECT(count(d.a) == 0);
  EXPECT(peer.EndsWell());
  EXPECT(HasContent(d.b + "/f", "000400"));
  return "";
}
std::string CountUnderFcntl(const Dirs& d) {
  return CountUnder(
      d, [](const Fd& fd) { return Lock(fd, F_SETLKW, F_WRLCK); },
      [](const Fd& fd) { return Lock(fd, F_SETLK, F_UNLCK); });
}
std::string CountUnderFlock(const Dirs& d) {
  return CountUnder(
      d, [](const Fd& fd) { return flock(fd.get(), LOCK_EX); },
      [](const Fd& fd) { return flock(fd.get(), LOCK_UN); });
}

}  // namespace

std::vector<Case> LockCases() {
  return {
      {"an fcntl lock keeps the other out", FcntlConflict},
      {"F_GETLK shows the other's lock", FcntlGetLock},
      {"fcntl read locks are shared", FcntlSharedTogether},
      {"fcntl ranges split and stay apart", FcntlRanges},
      {"a blocked fcntl lock wakes", FcntlWaits},
      {"close releases an fcntl lock", FcntlReleasedByClose},
      {"death releases an fcntl lock", FcntlReleasedByDeath},
      {"a circle of fcntl locks is EDEADLK", FcntlDeadlock},
      {"a signal ends the wait for an fcntl lock", FcntlWaitInterrupted},
      {"an OFD lock keeps the other out", OfdConflict},
      {"flock keeps the other out", FlockConflict},
      {"shared flocks are shared", FlockSharedTogether},
      {"a blocked flock wakes", FlockWaits},
      {"close ends the wait for a flock", FlockWaitEndedByClose},
      {"close releases a flock at once", FlockReleasedByCloseAtOnce},
      {"a process waiting in flock can be killed", FlockWaiterCanBeKilled},
      {"no step is lost under fcntl locks", CountUnderFcntl},
      {"no step is lost under flock", CountUnderFlock},
  };
}

}  // namespace kfs::coherence
