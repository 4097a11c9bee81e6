#include "metaserver/cluster/asked_by.h"

#include "common/utf8.h"

namespace kfs::meta {
namespace {

constexpr char kMark[] = "  # asked by ", kKey[] = " with key ";
constexpr size_t kAskerMax = 128;

}  // namespace

std::string AskerWord(const std::string& claimed) {
  if (!IsUtf8(claimed)) return claimed.empty() ? "" : "?";
  std::string word = Printable(claimed, kAskerMax);
  for (char& c : word) {
    if (c == ' ' || c == '#') c = '?';
  }
  return word;
}

std::string WithAsker(const std::string& words, const AskedBy& by) {
  if (by.who.empty() && by.key.empty()) return words;
  return words + kMark + (by.who.empty() ? "?" : by.who) + (by.key.empty() ? "" : kKey + by.key);
}

std::string WithoutAsker(const std::string& command, AskedBy* by) {
  if (by != nullptr) *by = AskedBy{};
  const size_t mark = command.rfind(kMark);  // ours is the last: what was typed stands before it
  if (mark == std::string::npos) return command;
  if (by != nullptr) {
    by->who = command.substr(mark + sizeof(kMark) - 1);
    if (const size_t key = by->who.find(kKey); key != std::string::npos) {
      by->key = by->who.substr(key + sizeof(kKey) - 1);
      by->who.resize(key);
    }
  }
  return command.substr(0, mark);
}

}  // namespace kfs::meta
