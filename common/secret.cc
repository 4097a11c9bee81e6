#include "common/secret.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "common/entropy.h"

namespace kfs {

void SystemEntropy::Fill(char* to, size_t size) {
  if (RAND_bytes(reinterpret_cast<unsigned char*>(to), static_cast<int>(size)) != 1) std::abort();
}

Entropy& SystemRandom() {
  static SystemEntropy source;  // without a state
  return source;
}

std::string GenerateSecret(Entropy& entropy) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned char c : entropy.Bytes(32)) {
    out += kHex[c >> 4];
    out += kHex[c & 15];
  }
  return out;
}

Result<std::string> ReadSecretFile(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot read secret file " + path);
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    return Status(EINVAL, "secret file " + path + " is not a regular file");
  }
  if ((st.st_mode & 077) != 0) {
    close(fd);
    return Status(EPERM, "secret file " + path + " can be read by others; chmod 600 it");
  }
  char bytes[4096];
  ssize_t n = read(fd, bytes, sizeof(bytes));
  int err = errno;
  close(fd);
  if (n < 0) return ErrnoStatus(err, "cannot read secret file " + path);
  std::string secret(bytes, static_cast<size_t>(n));
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == ' ' || secret.back() == '\r'))
    secret.pop_back();
  if (secret.size() < 16) return Status(EINVAL, "secret file " + path + " holds fewer than 16 characters");
  return secret;
}

Status WriteSecretFile(const std::string& path, const std::string& secret) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, "cannot create secret file " + path);
  std::string line = secret + "\n";
  bool ok = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(fd) == 0;
  int err = errno;
  close(fd);
  if (!ok) {
    unlink(path.c_str());
    return ErrnoStatus(err, "cannot write secret file " + path);
  }
  return {};
}

std::string HmacSha256(std::string_view secret, std::string_view text) {
  unsigned char digest[32];
  unsigned int size = sizeof(digest);
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return std::string(reinterpret_cast<char*>(digest), size);
}

std::string MacOf(std::string_view secret, std::string_view what_for, std::initializer_list<uint64_t> numbers,
                  size_t size) {
  std::string text(what_for);
  for (const uint64_t number : numbers) {
    for (int shift = 0; shift < 64; shift += 8) text.push_back(static_cast<char>(number >> shift));
  }
  return HmacSha256(secret, text).substr(0, size);
}

bool EqualConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace kfs
