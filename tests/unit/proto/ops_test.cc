#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "proto/op_types.h"

namespace kfs {
namespace {

constexpr uint16_t kNumbers[] = {
#define KFS_OP(number, ...) number,
    KFS_OPS(KFS_OP)
#undef KFS_OP
};

TEST(OpTable, FindsEveryOpByItsNumberAndNothingElse) {
  const std::set<uint16_t> known(std::begin(kNumbers), std::end(kNumbers));
  EXPECT_EQ(known.size(), std::size(kNumbers)) << "a number is used twice";
  for (uint32_t number = 0; number <= UINT16_MAX; ++number) {
    const OpInfo* info = FindOp(static_cast<uint16_t>(number));
    ASSERT_EQ(info != nullptr, known.contains(static_cast<uint16_t>(number))) << number;
    if (info != nullptr) {
      EXPECT_EQ(static_cast<uint32_t>(info->op), number);
    }
  }
  EXPECT_EQ(OpName(Op::kMkdir), "Mkdir");
  EXPECT_EQ(OpName(static_cast<Op>(9999)), "?");
}

// Only requests with a Context can carry the id under which they happen once.
TEST(OpTable, OpsThatMutateHaveAContext) {
#define KFS_OP(number, name, reply, mutates, ...)                                \
  if (mutates) {                                                                 \
    const auto* field = pb::name##Request::descriptor()->FindFieldByName("ctx"); \
    ASSERT_NE(field, nullptr) << #name;                                          \
    EXPECT_EQ(field->message_type()->full_name(), "kfs.pb.Context") << #name;    \
  }
  KFS_OPS(KFS_OP)
#undef KFS_OP
}

// The executor runs them with the session of their connection.
TEST(OpTable, OpsOfVolumesNeedASession) {
#define KFS_OP(number, name, ...) EXPECT_EQ(FindOp(number)->needs, Needs::kSession) << #name;
  KFS_VOLUME_OPS(KFS_OP)
#undef KFS_OP
}

std::string Senders(uint32_t senders) {
  switch (senders) {
    case kAnyRole:
      return "any";
    case kFromClient:
      return "client";
    case kFromChunkserver:
      return "chunkserver";
    case kFromMetaserver:
      return "metaserver";
    case kFromMetaserver | kFromAdmin:
      return "metaserver, administration";
    case kFromClient | kFromAdmin:
      return "client, administration";
    case kFromAdmin:
      return "administration";
    default:
      return "?";
  }
}

std::string ServedBy(uint32_t servers) {
  switch (servers) {
    case kByAll:
      return "every program";
    case kByServers:
      return "metaserver, chunkserver";
    case kByMount:
      return "mount";
    case kByChunk:
      return "chunkserver";
    case kByMeta:
      return "metaserver";
    default:
      return "?";
  }
}

std::string Read(const std::string& path) {
  std::ifstream file(std::string(KFS_SOURCES "/") + path);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ProtocolDocument, HasEveryOpWithItsNumberAndNoOther) {
  const std::string text = Read("docs/protocol.md");
  size_t rows = 0;
  const std::regex row(R"(\n\| (\d+) \| (\w+) \| ([\w, ]+) \| ([\w, ]+) \| (yes)? ?\| (yes)? ?\| )");
  // Only the last section: other tables have numbers too.
  const std::string ops = text.substr(text.find("\n## Operations"));
  for (std::sregex_iterator it(ops.begin(), ops.end(), row), end; it != end; ++it, ++rows) {
    const OpInfo* info = FindOp(static_cast<uint16_t>(std::stoi((*it)[1])));
    ASSERT_NE(info, nullptr) << (*it)[0];
    EXPECT_EQ(info->name, (*it)[2].str());
    EXPECT_EQ(Senders(info->senders), (*it)[3].str()) << info->name;
    EXPECT_EQ(ServedBy(info->servers), (*it)[4].str()) << info->name;
    EXPECT_EQ(info->needs == Needs::kSession, (*it)[5].matched) << info->name;
    EXPECT_EQ(info->mutates, (*it)[6].matched) << info->name;
  }
  EXPECT_EQ(rows, std::size(kNumbers)) << "an op is missing in docs/protocol.md, or there twice";
}

// Whoever follows docs/adding-an-op.md finds each file that it names, and its example's number free.
TEST(GuideToANewOp, NamesWhatThereIs) {
  const std::string text = Read("docs/adding-an-op.md");
  std::set<std::string> files;
  const std::regex path(R"(`([a-z_]+/[a-z_/]+\.(?:h|cc|py|proto))`)");
  for (std::sregex_iterator it(text.begin(), text.end(), path), end; it != end; ++it) files.insert((*it)[1]);
  EXPECT_GE(files.size(), 15u);
  for (const std::string& file : files) {
    const std::filesystem::path sources(KFS_SOURCES);
    EXPECT_TRUE(exists(sources / file) || exists(sources / "metaserver" / file)) << file;
  }
  std::smatch example;
  ASSERT_TRUE(std::regex_search(text, example, std::regex(R"(`KFS_OP\((\d+), (\w+), )")));
  EXPECT_EQ(FindOp(static_cast<uint16_t>(std::stoi(example[1]))), nullptr) << example[0];
  EXPECT_EQ(Read("proto/ops.h").find(", " + example[2].str() + ","), std::string::npos) << example[0];
}

}  // namespace
}  // namespace kfs
