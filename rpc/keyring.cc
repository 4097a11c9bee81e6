#include "rpc/keyring.h"

namespace kfs {
namespace {

class OnlyRoot : public Keyring {
 public:
  explicit OnlyRoot(std::string secret)
      : secret_(std::move(secret)), signing_key_(SigningKey::FromSecret(secret_)) {}

  Result<FoundKey> Find(const PeerClaim& claim) const override {
    if (!claim.key_id.empty() && claim.key_id != kRootKeyId)
      return Status(EACCES, Code::kBadProof, "this server knows no key '" + claim.key_id + "'");
    return FoundKey{.key = secret_, .rights = nullptr};
  }
  std::string Sign(std::string_view text, std::string_view) const override { return signing_key_.Sign(text); }

 private:
  const std::string secret_;
  const SigningKey signing_key_;
};

}  // namespace

std::shared_ptr<Keyring> RootKeyring(std::string secret) {
  return std::make_shared<OnlyRoot>(std::move(secret));
}

}  // namespace kfs
