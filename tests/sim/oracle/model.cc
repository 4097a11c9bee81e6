#include "tests/sim/oracle/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace kfs::sim {
namespace {

bool Unknown(const Step& step) { return step.ended == kNever; }
// A directory that is gone is told in one of these words, by how long ago it went.
bool IsGone(int err) { return err == ENOENT || err == ESTALE; }

}  // namespace

// ---- Names ----

bool Names::Do(const Step& step) {
  int err = 0;
  const auto dir = dirs_.find(step.dir);
  const bool gone = dir == dirs_.end();
  switch (step.call) {
    case Call::kSyncDir:
      // An end that tells of a loss is the checker's matter.
      return Unknown(step) || step.err == 0 || step.err == EIO || (gone && IsGone(step.err));
    case Call::kList:
      if (Unknown(step)) return true;
      // For a while one that is gone can be listed, as by who has it open.
      if (gone) return IsGone(step.err) || (step.err == 0 && step.names.empty());
      return step.err == 0 && Listed(step);
    case Call::kLookup: {
      if (Unknown(step)) return true;
      if (gone) return IsGone(step.err);
      const auto entry = dir->second.find(step.name);
      if (entry == dir->second.end()) return step.err == ENOENT;
      return step.err == 0 && Same(&entry->second, step.got);
    }
    case Call::kMkdir:
    case Call::kCreate:
      err = gone ? ENOENT : Made(step, step.call == Call::kMkdir);
      break;
    case Call::kUnlink:
    case Call::kRmdir:
      err = gone ? ENOENT : Removed(step, step.call == Call::kRmdir);
      break;
    case Call::kRename:
      err = gone || !IsDir(step.new_dir) ? ENOENT : Renamed(step);
      break;
    case Call::kLink: {
      if (gone || !links_.contains(step.ino)) {
        // Both are wrong: either may be told.
        if (!gone && dir->second.contains(step.name) && step.err == EEXIST) return true;
        err = ENOENT;
      } else if (dir->second.contains(step.name)) {
        err = EEXIST;
      } else {
        dir->second[step.name] = step.ino;
        ++links_[step.ino];
      }
      break;
    }
    default:
      return false;
  }
  if (Unknown(step)) return true;
  return err == ENOENT ? IsGone(step.err) : err == step.err;
}

int Names::Made(const Step& step, bool dir) {
  Entries& entries = dirs_.at(step.dir);
  if (entries.contains(step.name)) return EEXIST;
  // Who says otherwise is found out by the caller, which then does not go on from here.
  const uint64_t ino = Unknown(step) || step.err != 0 ? next_unheard_++ : step.got;
  entries[step.name] = ino;
  if (dir) {
    dirs_[ino] = {};
  } else {
    links_[ino] = 1;
  }
  return 0;
}

int Names::Removed(const Step& step, bool dir) {
  Entries& entries = dirs_.at(step.dir);
  const auto entry = entries.find(step.name);
  if (entry == entries.end()) return ENOENT;
  const uint64_t ino = entry->second;
  if (dir && !IsDir(ino)) return ENOTDIR;
  if (!dir && IsDir(ino)) return EISDIR;
  if (dir && !dirs_.at(ino).empty()) return ENOTEMPTY;
  entries.erase(entry);
  if (dir) {
    dirs_.erase(ino);
  } else if (--links_.at(ino) == 0) {
    links_.erase(ino);
  }
  return 0;
}

bool Names::Below(uint64_t dir, uint64_t above) const {
  if (dir == above) return true;
  return std::ranges::any_of(
      dirs_.at(above), [&](const auto& entry) { return IsDir(entry.second) && Below(dir, entry.second); });
}

int Names::Renamed(const Step& step) {
  Entries& from = dirs_.at(step.dir);
  Entries& to = dirs_.at(step.new_dir);
  const auto entry = from.find(step.name);
  if (entry == from.end()) return ENOENT;
  const uint64_t ino = entry->second;
  if (IsDir(ino) && Below(step.new_dir, ino)) return EINVAL;
  if (const auto there = to.find(step.new_name); there != to.end()) {
    const uint64_t old = there->second;
    if (old == ino) return 0;  // two links of one file: nothing happens
    if (IsDir(old) && Below(step.dir, old)) return ENOTEMPTY;
    if (IsDir(ino) && !IsDir(old)) return ENOTDIR;
    if (!IsDir(ino) && IsDir(old)) return EISDIR;
    if (IsDir(old)) {
      if (!dirs_.at(old).empty()) return ENOTEMPTY;
      dirs_.erase(old);
    } else if (--links_.at(old) == 0) {
      links_.erase(old);
    }
  }
  to[step.new_name] = ino;
  from.erase(step.name);
  return 0;
}

bool Names::Listed(const Step& step) {
  const Entries listed = dirs_.at(step.dir);  // as it was: numbers may become known below
  if (listed.size() != step.names.size()) return false;
  for (const auto& [name, ino] : step.names) {
    if (!listed.contains(name)) return false;
    // Looked up anew each time: what becomes known changes entries.
    const auto entry = dirs_.at(step.dir).find(name);
    if (!Same(&entry->second, ino)) return false;
  }
  return true;
}

bool Names::Same(uint64_t* known, uint64_t seen) {
  if (*known == seen) return true;
  if ((*known & kUnheard) == 0) return false;
  if (dirs_.contains(seen) || links_.contains(seen)) return false;  // it is somebody else's
  Rename(*known, seen);
  return true;
}

void Names::Rename(uint64_t from, uint64_t to) {
  for (auto& [dir, entries] : dirs_) {
    for (auto& [name, ino] : entries) {
      if (ino == from) ino = to;
    }
  }
  if (auto node = dirs_.extract(from); !node.empty()) {
    node.key() = to;
    dirs_.insert(std::move(node));
  }
  if (auto node = links_.extract(from); !node.empty()) {
    node.key() = to;
    links_.insert(std::move(node));
  }
}

std::string Names::State() const {
  std::string text;
  for (const auto& [dir, entries] : dirs_) {
    text += fmt::format("{}(", dir);
    for (const auto& [name, ino] : entries) text += fmt::format("{}={},", name, ino);
    text += ')';
  }
  return text;
}

// ---- Content ----

void Content::Block::Write(const Step& step, bool lost_meanwhile) {
  if (lost_meanwhile) {  // its data was there before that, perhaps
    now.merge(Values(since_sync));
    torn = true;
  } else {
    now.clear();
    torn = false;
  }
  outlived = false;
  now.insert(step.value);
  since_sync.insert(step.value);
  by = step.client;
  last = step.value;
  // What was lost before it was answered is its own fsync's matter all the same.
  promised = lost_meanwhile && step.ended != kNever ? by : -1;
}

void Content::Block::Lost() {
  if (since_sync != now) {
    if (by >= 0) promised = by;
    now.merge(Values(since_sync));
  }
  torn = torn || now.size() > 1;
  outlived = true;
  since_sync = now;
}

// It has been read. What has outlived a loss of power is durable, where it was this chunk's.
void Content::Block::Settle(uint64_t value, bool durable) {
  if (durable && outlived) since_sync = {value};
  now = {value};
  torn = false;
}

bool Content::LostMeanwhile(const Step& step) const {
  return std::ranges::any_of(*losses_,
                             [&](const PowerLoss& l) { return step.began <= l.at && l.at <= step.ended; });
}

bool Content::MayFail(uint64_t block) const {
  const auto chunk = chunks_.find(block / kBlocksOfChunk);
  return chunk != chunks_.end() && chunk->second.gone;
}

Content::Values Content::At(uint64_t block) const {
  return block < blocks_.size() ? blocks_[block].now : Values{0};
}

void Content::Resize(uint64_t size) {
  while (blocks_.size() < size) {
    Block block;
    if (auto node = behind_.extract(blocks_.size()); !node.empty()) block.now.merge(node.mapped());
    block.since_sync = block.now;
    blocks_.push_back(std::move(block));
  }
  blocks_.resize(size);
}

bool Content::Read(const Step& step) {
  if (Unknown(step)) return true;
  if (step.err == EIO) return MayFail(step.block);
  if (step.err != 0) return false;
  if (step.block >= blocks_.size()) return step.got == 0;
  Block& block = blocks_[step.block];
  const bool mixture = block.torn && !step.mixed.empty() && std::ranges::includes(block.now, step.mixed);
  if (!mixture && !block.now.contains(step.got)) return false;
  block.Settle(step.got, !losses_->empty() && std::ranges::none_of(*losses_, &PowerLoss::perhaps));
  return true;
}

void Content::Written(const Step& step, uint64_t at) {
  const bool lost_meanwhile = LostMeanwhile(step);
  blocks_[at].Write(step, lost_meanwhile);
  Chunk& chunk = chunks_[at / kBlocksOfChunk];
  if (lost_meanwhile) {
    chunk.gone |= !chunk.durable;
  } else if (!Unknown(step)) {
    chunk.gone = false;
  }
}

bool Content::Synced(const Step& step) {
  if (Unknown(step) || step.err != 0) return true;
  for (Block& block : blocks_) {
    if (block.promised == step.client && !step.anew) {
      if (!block.now.contains(block.last)) return false;
      block.now = {block.last};
      block.torn = false;
      block.promised = -1;
    }
    block.since_sync = block.now;
  }
  for (auto& [index, chunk] : chunks_) chunk.durable = true;
  return true;
}

bool Content::Do(const Step& step) {
  const bool failed = !Unknown(step) && step.err != 0;
  switch (step.call) {
    case Call::kSyncFile:
      return Synced(step);
    case Call::kRead:
      return Read(step);
    case Call::kSize:
      return Unknown(step) || (!failed && step.got == blocks_.size());
    case Call::kWrite:
      if (failed) return step.err == EIO && MayFail(step.block);
      Resize(std::max<uint64_t>(blocks_.size(), step.block + 1));
      Written(step, step.block);
      return true;
    case Call::kAppend:
      if (failed) return step.err == EIO && MayFail(blocks_.size());
      behind_.erase(blocks_.size());
      blocks_.emplace_back();
      Written(step, blocks_.size() - 1);
      return true;
    case Call::kTruncate:
      if (failed) return false;
      Resize(step.block);
      std::erase_if(chunks_, [&](const auto& c) { return c.first * kBlocksOfChunk >= step.block; });
      return true;
    default:
      return false;
  }
}

void Content::FellBackFrom(const Model& later) {
  const auto& from = static_cast<const Content&>(later);
  for (uint64_t i = 0; i < std::max(blocks_.size(), from.blocks_.size()); ++i) {
    if (i < blocks_.size()) {
      if (i >= from.blocks_.size()) continue;  // nothing is cut before that is durable
      blocks_[i].now.merge(from.At(i));
      blocks_[i].since_sync.merge(Values(from.blocks_[i].since_sync));
      blocks_[i].torn |= from.blocks_[i].torn;
    } else {
      behind_[i].merge(from.At(i));
    }
  }
  for (const auto& [block, values] : from.behind_) {
    Values copy = values;
    (block < blocks_.size() ? blocks_[block].now : behind_[block]).merge(copy);
  }
  for (const auto& [index, chunk] : from.chunks_) chunks_[index].gone |= chunk.gone;
}

void Content::LostData(const std::vector<const Step*>& under_way) {
  for (const Step* step : under_way) {
    if (step->call == Call::kWrite && step->block < blocks_.size())
      blocks_[step->block].since_sync.insert(step->value);
    if (step->call != Call::kAppend) continue;
    // Where it was tried others may have come before it, and their data is on the same sectors.
    for (Block& block : blocks_) {
      if (block.by >= 0 && block.since_sync.contains(0)) block.since_sync.insert(step->value);
    }
  }
  for (Block& block : blocks_) block.Lost();
  for (auto& [index, chunk] : chunks_) chunk.gone |= !chunk.durable;
}

std::string Content::State() const {
  std::string text;
  for (const Block& b : blocks_) {
    text += fmt::format("{}", fmt::join(b.now, "|"));
    if (b.since_sync != b.now) text += fmt::format("~{}", fmt::join(b.since_sync, "|"));
    if (b.torn) text += 't';
    if (b.outlived && b.now.size() > 1) text += 'o';
    if (b.by >= 0) text += fmt::format("by{}", b.by);
    if (b.promised >= 0) text += fmt::format("!{}", b.promised);
    if (b.promised >= 0 || (b.now.size() > 1 && b.by >= 0)) text += fmt::format("={}", b.last);
    text += ',';
  }
  for (const auto& [block, values] : behind_) text += fmt::format("({}:{})", block, fmt::join(values, "|"));
  for (const auto& [index, chunk] : chunks_)
    text += fmt::format("[{}{}{}]", index, chunk.durable ? "d" : "", chunk.gone ? "g" : "");
  return text;
}

// ---- Locks ----

bool Locks::Do(const Step& step) {
  const auto held = held_.find(step.block);
  const bool by_other = held != held_.end() && held->second != step.owner;
  if (step.call == Call::kUnlock) {
    if (held != held_.end() && !by_other) held_.erase(held);
    return Unknown(step) || step.err == 0;
  }
  if (step.call != Call::kLock) return false;
  if (!by_other) held_[step.block] = step.owner;
  if (Unknown(step)) return true;
  return by_other ? step.err == EAGAIN : step.err == 0;
}

std::string Locks::State() const {
  std::string text;
  for (const auto& [block, owner] : held_) text += fmt::format("{}={},", block, owner);
  return text;
}

}  // namespace kfs::sim
