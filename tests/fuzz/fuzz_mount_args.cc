// The words of mount's command line: SOURCE NUL MOUNTPOINT NUL OPTIONS.
#include "fuse/mount.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  auto next = [&rest] {
    const size_t nul = rest.find('\0');
    std::string_view part = rest.substr(0, nul);
    rest = nul == std::string_view::npos ? std::string_view() : rest.substr(nul + 1);
    return part;
  };
  const std::string_view source = next(), mountpoint = next(), options = next();
  const kfs::Result<kfs::MountOptions> parsed = kfs::ParseMountArgs(source, mountpoint, options);
  if (!parsed.ok()) {
    FUZZ_CHECK(!parsed.status().message().empty());
    return 0;
  }
  FUZZ_CHECK(!parsed->metaservers.empty());
  FUZZ_CHECK(!parsed->volume.empty() && parsed->volume.find('/') == std::string::npos);
  FUZZ_CHECK(parsed->timeout.count() >= 0);
  return 0;
}
