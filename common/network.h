// Networks, as keys name them: "10.0.0.0/8", "192.168.1.7", "2001:db8::/32". Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace kfs {

// As it is stored and shown: the address of the network with its length, always. EINVAL says what is wrong;
// bits beyond the length are, since they are a slip more often than not.
Result<std::string> ParseNetwork(std::string_view text);

// Whether an address ("10.1.2.3", "::1", either with ":PORT", then IPv6 in brackets) is in a network that
// ParseNetwork gave. An IPv4 address that came over an IPv6 socket ("::ffff:10.1.2.3") is the IPv4 one. What
// is no address is in none.
bool InNetwork(std::string_view network, std::string_view address);

}  // namespace kfs
