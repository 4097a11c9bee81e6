// What a metaserver does with the data directory that it starts on.
#include <gmock/gmock.h>

#include "metaserver/metaserver.h"
#include "metaserver/store/cluster_store.h"
#include "metaserver/store/member_db.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

class StartTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [name, value] : std::map<std::string, std::string>{{"data-dir", dir_ + "/data"},
                                                                        {"listen", "127.0.0.1:0"},
                                                                        {"create-secret", "true"},
                                                                        {"secret-file", dir_ + "/secret"}}) {
      const Status s = options_.Set(name, value);
      ASSERT_TRUE(s.ok()) << s.ToString();
    }
  }
  Status Start() {
    EventLoop loop;
    MetaServer server(loop, options_);
    Status s = server.Start();
    server.Stop();
    return s;
  }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  MetaOptions options_;
};

TEST_F(StartTest, AnEmptyDirectoryIsFoundedOnce) {
  EXPECT_TRUE(Start().ok());
  DbMemory memory(16 << 20);
  std::string uuid;
  for (int i = 0; i < 2; ++i) {
    {
      auto store = ClusterStore::Open(dir_ + "/data", memory);
      ASSERT_TRUE(store.ok());
      const pb::MemberRecord record = MemberDb((*store)->db()).Load();
      EXPECT_EQ(record.conf().member_size(), 1);
      EXPECT_EQ(record.conf().cluster_id(), (*store)->cluster_id());
      if (i == 1) {
        EXPECT_EQ(record.uuid(), uuid);
      }
      uuid = record.uuid();
    }
    EXPECT_TRUE(Start().ok());
  }
}

TEST_F(StartTest, VolumesOfAnEarlierVersionAreNotDeleted) {
  std::filesystem::create_directories(dir_ + "/data/volumes/1");
  {
    DbMemory memory(16 << 20);
    auto store = ClusterStore::Open(dir_ + "/data", memory);
    ASSERT_TRUE(store.ok());
    rec::Volume v;
    v.set_id(1);
    v.set_name("old");
    (*store)->PutVolume(v, [] {});
  }
  for (int i = 0; i < 2; ++i) {
    const Status s = Start();
    EXPECT_EQ(s.err(), EPROTONOSUPPORT) << s.ToString();
    EXPECT_THAT(s.message(), testing::HasSubstr("nothing was changed"));
  }
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/data/volumes/1"));
}

}  // namespace
}  // namespace kfs::meta
