// The cluster's secret: made with the cluster, held in a file of mode 0600, never logged.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/entropy.h"
#include "common/status.h"

namespace kfs {

// 32 random bytes as 64 hexadecimal digits.
std::string GenerateSecret(Entropy& entropy);

// Reads a secret file; fails if others than its owner may read it, if it is missing, or if it is shorter than
// 16 bytes.
Result<std::string> ReadSecretFile(const std::string& path);

// Writes it with mode 0600; fails with EEXIST when the file is there.
Status WriteSecretFile(const std::string& path, const std::string& secret);

// HMAC-SHA256(secret, text), 32 bytes.
std::string HmacSha256(std::string_view secret, std::string_view text);

// The first `size` bytes of the HMAC over what it is for and numbers, in fixed width: no two claims have one
// text.
std::string MacOf(std::string_view secret, std::string_view what_for, std::initializer_list<uint64_t> numbers,
                  size_t size = 32);

// Compares without telling by its time where they differ.
bool EqualConstantTime(std::string_view a, std::string_view b);

}  // namespace kfs
