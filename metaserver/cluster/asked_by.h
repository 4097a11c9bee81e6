// Who asked for a change: kept in the words of its command, behind what was typed, so that it is in the
// configuration that the change made, in the transactions and in every log line about them, and members of
// earlier versions hand it on as they hand on the words. Pure functions.
#pragma once

#include <string>

namespace kfs::meta {

struct AskedBy {
  std::string who;  // USER@HOST as the tool says; nobody has proven it
  std::string key;  // id of the key of its connection: proven. Empty: the root secret
};

// One word of at most kAskerMax bytes: '?' for whatever could be mistaken for something else.
std::string AskerWord(const std::string& claimed);
// "volume stop data  # asked by alice@m1 with key admin/ops/3". The words as they are when nobody is known.
std::string WithAsker(const std::string& words, const AskedBy& by);
// The words as typed; `by` empty when they name nobody.
std::string WithoutAsker(const std::string& command, AskedBy* by = nullptr);

}  // namespace kfs::meta
