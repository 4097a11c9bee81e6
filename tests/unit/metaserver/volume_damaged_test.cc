// A table of a volume's database whose bytes are not what was written: the volume is closed, in words, and
// nothing else is.
#include <fstream>
#include <thread>

#include "tests/unit/metaserver/volume_host_fixture.h"

namespace kfs::meta {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class VolumeDamagedTest : public VolumeHostTest {
 protected:
  void SetUp() override {
    VolumeHostTest::SetUp();
    *conf_.add_volume() = data();
    conf_.mutable_volume(1)->set_id(4);
    conf_.mutable_volume(1)->set_name("more");
  }
  // Names that do not compress, so that they can be found in a table.
  std::string Name() {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    std::string name;
    for (int i = 0; i < 60; ++i) name += kLetters[random_() % kLetters.size()];
    return name;
  }
  // What it was changed since goes into another table.
  void NewTable() {
    Restart();
    ASSERT_TRUE(Apply().ok());
    ASSERT_TRUE(Serves()) << Where().ToString();
  }
  // REQUIRES: it is closed. The last place in the tables that has the text is another from now on: of names
  // the directory's entry, which comes behind the listing's.
  void Damage(const std::string& text) {
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/volumes/3")) {
      if (entry.path().extension() != ".sst") continue;
      std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
      const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      const size_t at = bytes.rfind(text);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(bytes[at] ^ 0x55));
      table_ = entry.path().filename();
      ++found;
    }
    ASSERT_GT(found, 0);
  }
  Status Lookup(const std::string& name) {
    pb::LookupRequest r;
    r.set_parent(1);
    r.set_name(name);
    return Run<rpc::Lookup>(r);
  }
  void CloseWhatIsDamaged() {
    for (VolumeId id : std::exchange(damaged_, {})) host_->CloseDamaged(id);
  }
  void ExpectTold(const Status& s) {
    EXPECT_EQ(s.err(), EIO);
    EXPECT_EQ(s.code(), Code::kCorrupt);
    EXPECT_THAT(s.message(), AllOf(HasSubstr(table_), HasSubstr("kfs volume restore")));
  }
  void ExpectClosed() {
    EXPECT_FALSE(Serves());
    ExpectTold(host_->Trouble(VolumeId(3)));
    ExpectTold(Where());
    pb::OpenSessionReply none;
    ExpectTold(Open(&none));
    EXPECT_NE(executor_->FindVolume("more"), nullptr);
    EXPECT_TRUE(host_->Trouble(VolumeId(4)).ok());
  }
  void StopAndStart() {
    data().set_started(false);
    ASSERT_TRUE(Apply().ok());
    data().set_started(true);
    ASSERT_TRUE(Apply().ok());
  }

  std::mt19937 random_{testing::UnitTest::GetInstance()->random_seed() + 1u};
  std::string table_;  // the damaged one
};

TEST_F(VolumeDamagedTest, WhatIsFoundWhenItIsOpenedKeepsOnlyThatVolumeClosed) {
  Used();
  NewTable();
  End();
  Damage("kept");
  Begin();
  EXPECT_TRUE(Apply().ok());  // the metaserver has to run, so that the volume can be restored
  ExpectClosed();
  EXPECT_TRUE(Apply().ok());
  ExpectClosed();
  Restart();
  EXPECT_TRUE(Apply().ok());
  ExpectClosed();
}

TEST_F(VolumeDamagedTest, WhatIsFoundWhileItIsServedClosesIt) {
  Used();
  std::vector<std::string> names;
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(Mkdir(names.emplace_back(Name())).ok());
  std::sort(names.begin(), names.end());
  const std::string& victim = names[200];  // its block has no other record that is read at the start
  NewTable();
  End();
  Damage(victim.substr(victim.size() - 12));
  Begin();
  ASSERT_TRUE(Apply().ok());
  pb::OpenSessionReply reply;
  ASSERT_TRUE(Open(&reply).ok()) << Where().ToString();
  EXPECT_TRUE(Lookup(names[0]).ok());
  EXPECT_TRUE(damaged_.empty());
  ExpectTold(Lookup(victim));
  CloseWhatIsDamaged();
  ExpectTold(Mkdir("x"));  // on the connection that is still there
  ExpectClosed();
  conf_.set_generation(6);
  EXPECT_TRUE(Apply().ok());
  ExpectClosed();  // it is not opened at each change
  StopAndStart();  // an administrator has looked after the disk
  EXPECT_TRUE(Serves());
  EXPECT_TRUE(host_->Trouble(VolumeId(3)).ok());
}

TEST_F(VolumeDamagedTest, WhatIsFoundInTheBackgroundClosesItAndNothingIsAcknowledgedThatIsNotThere) {
  Used();
  std::vector<std::string> made;
  const auto make = [&] {
    const std::string name = Name();
    const Status s = Mkdir(name);
    if (s.ok()) made.push_back(name);
    return s;
  };
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(make().ok());
  std::sort(made.begin(), made.end());
  const std::string victim = made[200];
  pb::OpenSessionReply reply;
  for (int tables = 0; tables < 3; ++tables) {
    NewTable();
    ASSERT_TRUE(Open(&reply).ok());
    ASSERT_TRUE(make().ok());
  }
  End();
  Damage(victim.substr(victim.size() - 12));
  Begin();
  ASSERT_TRUE(Apply().ok());  // the fourth table: they are made one, in the background
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  if (Serves() && Open(&reply).ok()) {
    Status s;
    while (s.ok() && std::chrono::steady_clock::now() < until) {
      s = make();
      std::this_thread::yield();
    }
    ExpectTold(s);
    ExpectTold(make());
  }
  CloseWhatIsDamaged();
  ExpectClosed();
  End();
  DbMemory memory(16 << 20);
  auto db = Db::Open(dir_ + "/volumes/3", "volume", memory);
  ASSERT_TRUE(db.ok()) << db.status().ToString();
  for (const std::string& name : made) {
    if (name == victim) continue;
    const bool there = (*db)->Get(DentryKey(Ino(1), name)).has_value();
    // Its neighbours share its block.
    EXPECT_TRUE(there || !(*db)->TakeReadError().ok()) << name;
  }
}

}  // namespace
}  // namespace kfs::meta
