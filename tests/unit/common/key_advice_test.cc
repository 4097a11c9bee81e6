#include "common/key_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "temp_dir.h"

namespace kfs {
namespace {

using testing::HasSubstr;
using testing::Not;
using Use = RefusedKey::Use;

Credentials KeyOf(const std::string& id) {
  return Credentials::OfKey(id, std::string(32, 'k'), "6c84fb90-12c4-11e1-840d-7b25c5ee775a",
                            std::string(32, 'p'));
}

std::string Advice(Use use, const std::string& id, const std::string& words) {
  return AdviceFor(
      {.use = use, .shown = KeyOf(id), .file = "/etc/kfs/x.key", .volume = "data", .words = words});
}

TEST(KeyAdvice, WhoHasAKeyIsNeverSentForTheRootSecret) {
  for (const Use use : {Use::kMount, Use::kAdmin}) {
    for (const char* id :
         {"mount/laptop/3", "mount/laptop/3/2", "admin/ops/4", "invitation/rack/5", "chunkserver/3c9a"}) {
      for (const char* words : {"the key is not known here: it was revoked, or is another cluster's",
                                "the key has expired", "the key is for the kfs command",
                                "the key comes from the root secret root/1, which is accepted "
                                "no more",
                                "it does not accept our key, or has another one", ""}) {
        const std::string said = Advice(use, id, words);
        EXPECT_THAT(said, Not(HasSubstr("secret-file names"))) << id << ": " << words;
        EXPECT_THAT(said, HasSubstr("kfs key ")) << id << ": " << words;
        EXPECT_THAT(said, HasSubstr(use == Use::kMount ? "-o secretfile=FILE" : "--secret-file FILE"));
      }
    }
  }
}

TEST(KeyAdvice, AnotherKeyIsOfTheRightKind) {
  for (const char* id : {"mount/laptop/3", "admin/ops/4"}) {
    EXPECT_THAT(Advice(Use::kMount, id, "x"), HasSubstr("kfs key create NAME --volume data"));
    EXPECT_THAT(Advice(Use::kAdmin, id, "x"), HasSubstr("kfs key create NAME --admin"));
  }
}

TEST(KeyAdvice, AfterAChangeOfTheRootSecretTheSameKeyIsExportedAnew) {
  const std::string older = "administration needs the root secret root/2, or a key that comes from it";
  EXPECT_THAT(Advice(Use::kAdmin, "admin/ops/4", older), HasSubstr("kfs key export ops -o FILE"));
  EXPECT_THAT(Advice(Use::kMount, "mount/laptop/3", older), HasSubstr("kfs key export laptop -o FILE"));
  EXPECT_THAT(Advice(Use::kAdmin, "mount/laptop/3", older), HasSubstr("kfs key create NAME --admin"));
}

TEST(KeyAdvice, WhoMayBePosingIsNotHelped) {
  const std::string said = Advice(Use::kMount, "mount/laptop/3",
                                  "it knows our key, but does not prove to be a metaserver of its cluster");
  EXPECT_THAT(said, HasSubstr("check the address"));
  EXPECT_THAT(said, Not(HasSubstr("kfs key")));
}

TEST(KeyAdvice, OfARootSecretBothWaysAreSaid) {
  const TempDir temp;
  const std::string file = temp.path() + "/secret";
  std::ofstream(file) << std::string(64, 'a');
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  const RefusedKey root{.use = Use::kMount, .shown = {}, .file = file, .volume = "data", .words = "no"};
  EXPECT_THAT(AdviceForFile(root), HasSubstr("the secret in " + file));
  EXPECT_THAT(AdviceForFile(root), HasSubstr("kfs key create NAME --volume data"));
  std::ofstream(file) << KeyOf("mount/laptop/3").FileText();
  EXPECT_THAT(AdviceForFile(root), HasSubstr(file + " holds the key mount/laptop/3"));
}

}  // namespace
}  // namespace kfs
