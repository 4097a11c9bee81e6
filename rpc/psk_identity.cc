// The names of keys in TLS handshakes: who links to whom with which key, as one word.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "rpc/tls_stream.h"

namespace kfs {
namespace {

constexpr size_t kIdSizeMax = 64;

bool PlainWord(std::string_view text) {
  return text.size() <= kIdSizeMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '|'; });
}

}  // namespace

Result<std::string> PskIdentity(const LinkEnds& ends) {
  if (!PlainWord(ends.client_id) || !PlainWord(ends.server_id) || !IsKeyId(ends.key_id))
    return Status(EINVAL, "an id or a key's name has characters that no link can have");
  return fmt::format("kfs1|{}|{}|{}|{}|{}", static_cast<int>(ends.client_role), ends.client_id, ends.key_id,
                     static_cast<int>(ends.server_role), ends.server_id.empty() ? "-" : ends.server_id);
}

Result<LinkEnds> ParsePskIdentity(std::string_view identity) {
  std::vector<std::string> part(1);
  for (const char c : identity.substr(0, 512)) {
    if (c == '|') {
      part.emplace_back();
    } else {
      part.back() += c;
    }
  }
  auto role = [](const std::string& text) {
    if (text.size() != 1 || text[0] < '1' || text[0] > '9' || !pb::HelloRequest::Role_IsValid(text[0] - '0'))
      return pb::HelloRequest::UNKNOWN;
    return static_cast<pb::HelloRequest::Role>(text[0] - '0');
  };
  if (part.size() != 6 || part[0] != "kfs1") return Status(EPROTO, "not an identity of KFS");
  LinkEnds ends{role(part[1]), part[2], part[3], role(part[4]), part[5] == "-" ? "" : part[5]};
  Result<std::string> same = PskIdentity(ends);
  if (!same.ok() || *same != identity) return Status(EPROTO, "not an identity of KFS");
  return ends;
}

}  // namespace kfs
