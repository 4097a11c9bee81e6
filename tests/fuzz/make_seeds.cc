// Writes the seed corpora of the targets whose inputs are binary: one frame for every message of the op
// table, with every field set, and a few connections. kfs-fuzz-seeds CORPUS_DIR
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "chunkserver/format.h"
#include "metaserver/acl/acl.h"
#include "proto/common.pb.h"
#include "proto/op_types.h"
#include "rpc/frame.h"

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Fill(Message* message, int depth) {
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* f = message->GetDescriptor()->field(i);
    if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (depth > 3) continue;
      Fill(f->is_repeated() ? reflection->AddMessage(message, f) : reflection->MutableMessage(message, f),
           depth + 1);
      continue;
    }
#define SET(TYPE, value) \
  f->is_repeated() ? reflection->Add##TYPE(message, f, value) : reflection->Set##TYPE(message, f, value)
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        SET(Int32, 5);
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        SET(Int64, -5);
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        SET(UInt32, 6);
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        SET(UInt64, 1 + static_cast<uint64_t>(i));
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        SET(Bool, true);
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        SET(String, "name");
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        SET(EnumValue, 1);
        break;
      default:
        break;
    }
#undef SET
  }
}

template <typename T>
std::string Filled() {
  T message;
  Fill(&message, 0);
  return message.SerializeAsString();
}

std::string Frame(uint16_t op, uint16_t flags, const std::string& body) {
  std::string frame(kfs::kFrameHeaderSize, '\0');
  // The checksum that fuzz_connection mends.
  kfs::EncodeHeader({.op = op,
                     .flags = flags,
                     .seq = 1,
                     .body_size = static_cast<uint32_t>(body.size()),
                     .payload_size = 0,
                     .body_crc = 0xffffffff},
                    frame.data());
  return frame + body;
}

void Write(const std::filesystem::path& file, const std::string& bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: kfs-fuzz-seeds CORPUS_DIR\n");
    return 2;
  }
  const std::filesystem::path dir = argv[1];
  std::string stream;
#define KFS_OP(number, name, ...)                                                                           \
  {                                                                                                         \
    const std::string request = Frame(number, 0, Filled<kfs::rpc::name::Request>());                        \
    Write(dir / "frame" / "request-" #name, request);                                                       \
    Write(dir / "frame" / "reply-" #name, Frame(number, kfs::kFlagReply, Filled<kfs::rpc::name::Reply>())); \
    if (number < 20) stream += request;                                                                     \
  }
  KFS_OPS(KFS_OP)
#undef KFS_OP
  const std::string error = Frame(3, kfs::kFlagReply | kfs::kFlagError, Filled<kfs::pb::ErrorReply>());
  Write(dir / "frame" / "error", error);
  Write(dir / "connection" / "greeted-at-once", "\x01\xff" + stream + error);
  Write(dir / "connection" / "greeted-in-pieces", "\x01\x06" + stream);
  Write(dir / "connection" / "not-greeted", std::string("\0\xff", 2) + stream);
  Write(dir / "connection" / "answers", "\x01\x20" + error + Frame(3, kfs::kFlagReply, ""));

  using namespace kfs::meta;  // NOLINT: a few lines
  const std::string prefix("\0\0\0\x01\xa4\x02\x03\x05", 8);
  Write(dir / "acl" / "minimal",
        prefix + FormatAclXattr(
                     {{kAclUserObj, 6, kAclNoId}, {kAclGroupObj, 4, kAclNoId}, {kAclOther, 4, kAclNoId}}));
  Write(dir / "acl" / "extended", prefix + FormatAclXattr({{kAclUserObj, 7, kAclNoId},
                                                           {kAclUser, 5, 3},
                                                           {kAclGroupObj, 5, kAclNoId},
                                                           {kAclGroup, 7, 4},
                                                           {kAclMask, 7, kAclNoId},
                                                           {kAclOther, 4, kAclNoId}}));
  char header[kfs::kMetaHeaderUsed] = {};
  kfs::EncodeChunkHeader(
      {.key = {.volume = kfs::VolumeId(1), .chunk = kfs::ChunkId(42)}, .version = kfs::ChunkVersion(7)},
      header);
  Write(dir / "chunk_header" / "good", std::string(header, sizeof(header)));
  return 0;
}
