#include "metaserver/store/cold_records.h"

#include <gtest/gtest.h>

namespace kfs::meta {
namespace {

using Record = ColdRecords::Record;

Record Of(const std::string& value) { return Record{.value = value}; }

class ColdRecordsTest : public testing::Test {
 protected:
  // `meanwhile` happens between the beginning and the end of the read.
  void Read(
      const std::string& value, const std::function<void()>& meanwhile = [] {}) {
    records_->Read({"k"}, [&](const std::string&) {
      meanwhile();
      return Of(value);
    });
  }
  std::string At() {
    const std::optional<Record> found = records_->Find("k");
    return found ? found->value.value_or("absent") : "not at hand";
  }
  const std::shared_ptr<ColdRecords> records_ = std::make_shared<ColdRecords>();
};

TEST_F(ColdRecordsTest, WhatIsReadStaysAsLongAsSomebodyWantsIt) {
  auto first = std::make_unique<WantedRecords>(records_), second = std::make_unique<WantedRecords>(records_);
  EXPECT_TRUE(first->Add({"k"}));
  EXPECT_FALSE(first->Add({"k"}));
  EXPECT_TRUE(second->Add({"k"}));
  EXPECT_EQ(At(), "not at hand");
  Read("1");
  EXPECT_EQ(At(), "1");
  first.reset();
  EXPECT_EQ(At(), "1");
  second.reset();
  EXPECT_EQ(At(), "not at hand");
  EXPECT_TRUE(records_->empty());
}

TEST_F(ColdRecordsTest, NothingStaysThatNobodyWants) {
  Read("1");
  EXPECT_EQ(At(), "not at hand");
  EXPECT_TRUE(records_->empty());
}

TEST_F(ColdRecordsTest, WhatIsChangedIsNotAtHand) {
  WantedRecords wanted(records_);
  wanted.Add({"k"});
  Read("1");
  records_->Changed("k");
  EXPECT_EQ(At(), "not at hand");
  Read("1");  // perhaps from before the change
  EXPECT_EQ(At(), "not at hand");
  wanted.Add({"k"});
  Read("2");
  EXPECT_EQ(At(), "2");
}

TEST_F(ColdRecordsTest, WhatIsChangedWhileItIsReadDoesNotCount) {
  WantedRecords wanted(records_);
  wanted.Add({"k"});
  Read("1", [&] { records_->Changed("k"); });
  EXPECT_EQ(At(), "not at hand");
  // Asked for once more before the old read ends.
  Read("1", [&] {
    records_->Changed("k");
    wanted.Add({"k"});
  });
  EXPECT_EQ(At(), "not at hand");
}

TEST_F(ColdRecordsTest, AReadForSomebodyWhoHasGoneDoesNotCountForTheNext) {
  auto first = std::make_unique<WantedRecords>(records_);
  WantedRecords second(records_);
  first->Add({"k"});
  Read("1", [&] {
    records_->Changed("k");
    first.reset();
    second.Add({"k"});
  });
  EXPECT_EQ(At(), "not at hand");
}

}  // namespace
}  // namespace kfs::meta
