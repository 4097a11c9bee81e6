#include "common/key_advice.h"

#include <fmt/format.h>

namespace kfs {
namespace {

// "laptop" of "mount/laptop/3".
std::string NameInId(const std::string& key_id) {
  const size_t begin = key_id.find('/');
  if (begin == std::string::npos) return "NAME";
  return key_id.substr(begin + 1, key_id.find('/', begin + 1) - begin - 1);
}

}  // namespace

std::string AdviceFor(const RefusedKey& refused) {
  const bool mount = refused.use == RefusedKey::Use::kMount;
  const std::string made = mount ? fmt::format("'kfs key create NAME --volume {} -o FILE'", refused.volume)
                                 : std::string("'kfs key create NAME --admin -o FILE'");
  const std::string give = mount ? "give it with -o secretfile=FILE" : "name it with --secret-file FILE";
  if (refused.words.find("does not prove to be") != std::string::npos)
    return "check the address, and who answers there, before anything is sent to it";
  const std::string& id = refused.shown.key_id();
  if (refused.shown.is_root() || id.empty()) {
    return fmt::format(
        "the secret in {} is not the cluster's present one: have a key made with {} where the cluster is "
        "administered, and {}; on a metaserver's own machine: the file that its option secret-file names",
        refused.file, made, give);
  }
  // The same key comes from each root secret.
  const bool right_kind = id.starts_with(mount ? "mount/" : "admin/");
  if (right_kind && refused.words.find("root secret") != std::string::npos) {
    return fmt::format(
        "the cluster's root secret was changed: have the key exported anew with 'kfs key export {} -o FILE' "
        "where the cluster is administered, and {}",
        NameInId(id), give);
  }
  return fmt::format("{} holds the key {}: have one made with {} where the cluster is administered, and {}",
                     refused.file, id, made, give);
}

std::string AdviceForFile(RefusedKey refused) {
  if (auto read = Credentials::Read(refused.file); read.ok()) refused.shown = std::move(*read);
  return AdviceFor(refused);
}

}  // namespace kfs
