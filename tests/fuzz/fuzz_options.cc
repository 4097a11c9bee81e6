// A configuration file: read or refused with words, never worse.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "common/options.h"
#include "tests/fuzz/fuzz.h"

namespace {

struct TestOptions : kfs::OptionSet {
  kfs::Option<std::string> listen{this, "listen", "127.0.0.1:7400", "Address."};
  kfs::Option<bool> create{this, "create-secret", false, "Make the secret."};
  kfs::Option<int64_t> ttl{this, "session-ttl", 30, 1, 3600, "Seconds."};
  kfs::Option<double> ratio{this, "ratio", 0.5, 0.0, 1.0, "A part."};
  kfs::Option<std::vector<std::string>> dirs{this, "data-dirs", {"/a"}, "Directories."};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int fd = memfd_create("options", MFD_CLOEXEC);
  FUZZ_CHECK(fd >= 0);
  FUZZ_CHECK(write(fd, data, size) == static_cast<ssize_t>(size));
  TestOptions options;
  const kfs::Status s = options.LoadFile("/proc/self/fd/" + std::to_string(fd));
  FUZZ_CHECK(s.ok() || !s.message().empty());
  (void)s.ToString();
  close(fd);
  FUZZ_CHECK(options.ttl() >= 1 && options.ttl() <= 3600);
  FUZZ_CHECK(options.ratio() >= 0.0 && options.ratio() <= 1.0);

  TestOptions pairs;
  (void)pairs.SetPair(std::string(reinterpret_cast<const char*>(data), size));
  FUZZ_CHECK(pairs.ttl() >= 1 && pairs.ttl() <= 3600);
  return 0;
}
