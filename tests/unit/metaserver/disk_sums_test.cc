#include "metaserver/chunks/disk_sums.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "metaserver/chunks/space_sum.h"

namespace kfs::meta {
namespace {

pb::DiskStatus Disk(const std::string& path, const std::string& error = "") {
  pb::DiskStatus d;
  d.set_path(path);
  d.set_capacity(100);
  d.set_available(40);
  d.set_chunks(3);
  d.set_error(error);
  return d;
}

pb::MemberReport Report(int chunkservers, int disks) {
  pb::MemberReport report;
  for (int i = 1; i <= chunkservers; ++i) {
    auto* c = report.add_chunkserver();
    c->set_id(static_cast<uint64_t>(i));
    c->set_address(fmt::format("chunkserver-{}.example:7401", i));
    c->set_up(true);
    c->set_asked_micros(700);
    for (int d = 0; d < disks; ++d) *c->add_disk() = Disk(fmt::format("/var/lib/kfs/disk-{}", d));
  }
  return report;
}

TEST(DiskSums, ManyDisksBecomeOneLineWithTheFirstError) {
  google::protobuf::RepeatedPtrField<pb::DiskStatus> disks;
  *disks.Add() = Disk("/a");
  SumDisks(&disks);
  EXPECT_EQ(disks.at(0).path(), "/a");
  *disks.Add() = Disk("/b", "it is sick");
  *disks.Add() = Disk("/c", "it, too");
  SumDisks(&disks);
  ASSERT_EQ(disks.size(), 1);
  EXPECT_EQ(disks.at(0).path(), "3 disks, 2 sick");
  EXPECT_EQ(disks.at(0).error(), "/b: it is sick");
  EXPECT_EQ(disks.at(0).capacity(), 300u);
  EXPECT_EQ(disks.at(0).available(), 120u);
  EXPECT_EQ(disks.at(0).chunks(), 9u);
}

pb::DiskStatus On(const std::string& file_system, uint64_t capacity, uint64_t available) {
  pb::DiskStatus d;
  d.set_file_system(file_system);
  d.set_capacity(capacity);
  d.set_available(available);
  return d;
}

TEST(SpaceSum, AFileSystemCountsOnceAndWithTheLeastThatIsSaid) {
  SpaceSum sum;
  sum.Add(On("a", 100, 40));
  sum.Add(On("b", 50, 5));
  sum.Add(On("a", 101, 38));
  sum.Add(On("a", 100, 39));
  EXPECT_EQ(sum.capacity(), 151u);
  EXPECT_EQ(sum.available(), 43u);
}

TEST(SpaceSum, DisksThatDoNotSayCountForThemselvesAndSickOnesNotAtAll) {
  SpaceSum sum;
  sum.Add(On("", 100, 40));
  sum.Add(On("", 100, 40));
  pb::DiskStatus sick = On("c", 100, 40);
  sick.set_error("it is sick");
  sum.Add(sick);
  EXPECT_EQ(sum.capacity(), 200u);
  EXPECT_EQ(sum.available(), 80u);
  // Another directory on the same file system works.
  sum.Add(On("c", 100, 40));
  EXPECT_EQ(sum.capacity(), 300u);
}

TEST(DiskSums, AnAnswerThatFitsStaysAsItIs) {
  pb::MemberReport report = Report(100, 12);
  ShortenDisks(&report);
  EXPECT_EQ(report.chunkserver(99).disk_size(), 12);
}

TEST(DiskSums, AReportOfThousandsFitsIntoAMessage) {
  pb::MemberReport report = Report(4000, 12);
  ASSERT_GT(report.ByteSizeLong(), kFrameBodyMax);
  ShortenDisks(&report);
  EXPECT_LT(report.ByteSizeLong(), kAnswerBytesMax);
  EXPECT_EQ(report.chunkserver(0).disk(0).path(), "12 disks");
}

TEST(DiskSums, TheReportsOfSevenFitAndKeepWhatIsWrong) {
  pb::VolumeStatusReply status;
  for (int m = 1; m <= 7; ++m) (*status.mutable_report())[fmt::format("m{}:7400", m)] = Report(4000, 12);
  auto* cut_off = status.mutable_report()->at("m5:7400").mutable_chunkserver(77);
  cut_off->set_up(false);
  cut_off->set_reason("not connected");
  Shorten(&status);
  EXPECT_LT(status.ByteSizeLong(), kFrameBodyMax);
  EXPECT_EQ(status.report().at("m1:7400").chunkserver_size(), 4000);
  ASSERT_EQ(status.report().at("m5:7400").chunkserver_size(), 1);
  EXPECT_EQ(status.report().at("m5:7400").chunkserver(0).id(), 78u);
}

}  // namespace
}  // namespace kfs::meta
