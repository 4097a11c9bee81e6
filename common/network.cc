#include "common/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace kfs {
namespace {

// All addresses as IPv6: IPv4 ones lie in ::ffff:0:0/96.
struct Bits {
  std::array<uint8_t, 16> bytes{};
  bool v4 = false;
};

constexpr uint8_t kV4Prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<Bits> ParseAddress(const std::string& text) {
  Bits out;
  if (inet_pton(AF_INET, text.c_str(), out.bytes.data() + 12) == 1) {
    std::memcpy(out.bytes.data(), kV4Prefix, sizeof kV4Prefix);
    out.v4 = true;
    return out;
  }
  if (inet_pton(AF_INET6, text.c_str(), out.bytes.data()) != 1) return {};
  out.v4 = std::memcmp(out.bytes.data(), kV4Prefix, sizeof kV4Prefix) == 0;
  return out;
}

// With the port taken off, and the interface of a link-local address.
std::optional<Bits> ParseEndpoint(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return {};
    text = text.substr(1, close - 1);
  } else if (const size_t colon = text.find(':');
             colon != std::string_view::npos && colon == text.rfind(':')) {
    text = text.substr(0, colon);
  }
  return ParseAddress(std::string(text.substr(0, text.find('%'))));
}

struct Network {
  Bits address;
  int length = 0;  // of 128 bits
};

Result<Network> Parse(std::string_view text) {
  const std::string shown(text.substr(0, 64));
  const size_t slash = text.find('/');
  const std::optional<Bits> address = ParseAddress(std::string(text.substr(0, slash)));
  if (!address) {
    return Status(EINVAL,
                  fmt::format("\"{}\" is no network: write 10.0.0.0/8, 192.168.1.7 or 2001:db8::/32", shown));
  }
  const int offset = address->v4 ? 96 : 0, bits = address->v4 ? 32 : 128;
  int length = bits;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), length);
    if (ec != std::errc() || end != number.data() + number.size() || length < 0 || length > bits)
      return Status(EINVAL, fmt::format("\"{}\": the length after the slash is 0 to {}", shown, bits));
  }
  return Network{*address, offset + length};
}

bool Bit(const Bits& bits, int at) {
  return (bits.bytes[static_cast<size_t>(at) / 8] >> (7 - at % 8) & 1) != 0;
}

}  // namespace

Result<std::string> ParseNetwork(std::string_view text) {
  Result<Network> network = Parse(text);
  if (!network.ok()) return network.status();
  Bits clean = network->address;
  for (int i = network->length; i < 128; ++i)
    clean.bytes[static_cast<size_t>(i) / 8] &= static_cast<uint8_t>(~(1u << (7 - i % 8)));
  char shown[INET6_ADDRSTRLEN] = "";
  const bool v4 = network->address.v4;
  inet_ntop(v4 ? AF_INET : AF_INET6, clean.bytes.data() + (v4 ? 12 : 0), shown, sizeof shown);
  const std::string canonical = fmt::format("{}/{}", shown, network->length - (v4 ? 96 : 0));
  if (clean.bytes != network->address.bytes) {
    return Status(EINVAL,
                  fmt::format("\"{}\" is an address within a network: did you mean {}?", text, canonical));
  }
  return canonical;
}

bool InNetwork(std::string_view network, std::string_view address) {
  const Result<Network> in = Parse(network);
  const std::optional<Bits> who = ParseEndpoint(address);
  if (!in.ok() || !who || in->address.v4 != who->v4) return false;
  for (int i = 0; i < in->length; ++i) {
    if (Bit(in->address, i) != Bit(*who, i)) return false;
  }
  return true;
}

}  // namespace kfs
