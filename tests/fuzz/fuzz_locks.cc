// The lock table driven by bytes, beside the model of the unit test.
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/metaserver_modules/lock_model.h"

using namespace kfs::meta;  // NOLINT: one small program

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kfs::fuzz::Input input(data, size);
  LockTable table(1);
  LockModel model;
  LockModel::Grants got, want;
  uint64_t next_id = 1;
  for (int steps = 0; input.left() > 0 && steps < 400; ++steps) {
    got.clear();
    want.clear();
    const uint8_t what = input.Byte();
    const kfs::Ino ino(1 + (what >> 7));
    const bool flock = (what & 0x40) != 0, wait = (what & 0x20) != 0;
    const uint8_t who = input.Byte();
    const LockOwner owner{kfs::SessionId(1 + who % 3), uint64_t{who} / 3 % 3};
    switch (what % 8) {
      case 0: {
        model.ReleaseOwner(ino, owner, flock, &want);
        table.ReleaseOwner(ino, owner, flock);
        break;
      }
      case 1: {
        const uint64_t id = next_id - std::min<uint64_t>(next_id, input.Byte());
        FUZZ_CHECK(table.CancelWaiter(owner.session, id) == model.Cancel(owner.session, id, &want));
        break;
      }
      case 2: {
        model.ReleaseSession(owner.session, &want);
        table.ReleaseSession(owner.session);
        FUZZ_CHECK(table.CountOf(owner.session) == 0);
        break;
      }
      default: {
        LockRequest request{.type = static_cast<LockType>(input.Below(3)), .flock = flock};
        request.start = input.Below(kModelBytes);
        request.end = std::min<uint64_t>(request.start + input.Below(kModelBytes), kModelBytes - 1);
        LockRequest real = request;
        real.end = RealEnd(request.end);
        const uint64_t id = next_id++;
        FUZZ_CHECK(table.Test(ino, owner, real).has_value() == model.Blocked(ino, owner, request));
        const auto expected = model.Set(ino, owner, request, wait, id, &want);
        const auto outcome = table.Set(
            ino, owner, real, wait, [&got, id](kfs::Status s) { got.emplace_back(id, s.err()); }, id);
        FUZZ_CHECK(outcome == expected);
      }
    }
    FUZZ_CHECK(got == want);
    FUZZ_CHECK(table.waiters() == model.Waiters());
    for (bool f : {false, true}) FUZZ_CHECK(ShowTable(table, ino, owner, f) == model.Show(ino, owner, f));
  }
  got.clear();
  for (uint64_t s = 1; s <= 3; ++s) table.ReleaseSession(kfs::SessionId(s));
  for (uint64_t s = 1; s <= 3; ++s) FUZZ_CHECK(table.CountOf(kfs::SessionId(s)) == 0);
  FUZZ_CHECK(table.waiters() == 0);
  return 0;
}
