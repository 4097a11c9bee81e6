// The value of a POSIX ACL xattr: what is accepted reads back alike, and agrees with itself as mode and by
// inheritance.
#include <sys/stat.h>

#include "metaserver/acl/permission.h"
#include "tests/fuzz/fuzz.h"

using namespace kfs::meta;  // NOLINT: one small program

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kfs::fuzz::Input input(data, size);
  const uint32_t mode = (input.Below(2) != 0 ? S_IFDIR : S_IFREG) | (input.Word() & 07777);
  const uint32_t uid = input.Below(8), gid = input.Below(8), want = input.Below(8);
  kfs::Result<Acl> acl = ParseAclXattr(input.Rest());
  if (!acl.ok()) return 0;
  kfs::Result<Acl> again = ParseAclXattr(FormatAclXattr(*acl));
  FUZZ_CHECK(again.ok() && *again == *acl);
  if (acl->empty()) return 0;

  FUZZ_CHECK(ValidateAcl(*acl).ok());
  const uint32_t shown = AclToMode(*acl, mode);
  FUZZ_CHECK((shown & ~0777u) == (mode & ~0777u));
  const Acl changed = AclWithMode(*acl, mode);
  FUZZ_CHECK(ValidateAcl(changed).ok());
  FUZZ_CHECK(AclToMode(changed, mode) == mode);

  const bool is_dir = S_ISDIR(mode);
  const Inherited inherited = InheritAcl(*acl, mode, is_dir);
  FUZZ_CHECK((inherited.mode & ~mode) == 0);
  FUZZ_CHECK(inherited.default_acl.has_value() == is_dir);
  FUZZ_CHECK(!inherited.access || ValidateAcl(*inherited.access).ok());
  FUZZ_CHECK(!inherited.access || AclToMode(*inherited.access, mode) == inherited.mode);

  // "Ask for the groups" never contradicts what is known without or with some.
  const Subject unknown{.uid = uid, .gid = gid, .groups = nullptr, .groups_known = false};
  Subject none = unknown;
  none.groups_known = true;
  const Object object{.mode = shown, .uid = 1, .gid = 2, .acl = &*acl};
  const Access answer = CheckAccess(unknown, object, want);
  const Access without = CheckAccess(none, object, want);
  FUZZ_CHECK(without != Access::kNeedGroups);
  FUZZ_CHECK(answer == Access::kNeedGroups || answer == without);
  // A list that says no more than a mode decides as the mode.
  if (EquivalentMode(*acl)) {
    const Object plain{.mode = shown, .uid = 1, .gid = 2};
    FUZZ_CHECK(CheckAccess(none, plain, want) == without);
  }
  return 0;
}
