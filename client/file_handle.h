// An open file or directory: what Open, Create, TmpFile and OpenDir give, and what reads, writes, syncs,
// locks and Release take. It is the home of whatever belongs to one open(2).
//
// When the metaserver has not heard of this client for too long, the handles that are open then are *lost*,
// with the locks that their users believe to hold: calls through them fail with EIO for good (the client sees
// to it), while the file can be opened anew. A lost handle is released like any other.
//
// Held by shared_ptr, by its user and, until it is released or lost, by the client (HeldState). ino() and
// flags() never change; all else is for the worker's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/types.h"

namespace kfs {

class FileHandle {
 public:
  // `opened_in`: HeldState::epoch as it was opened. Without: nothing that was changed before it is lost.
  FileHandle(Ino ino, uint32_t flags, uint64_t opened_in = UINT64_MAX)
      : ino_(ino), flags_(flags), opened_in_(opened_in) {}
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;

  Ino ino() const { return ino_; }
  // Of open(2): also what it may be used for.
  uint32_t flags() const { return flags_; }

  // ---- worker's thread, for the client itself
  uint64_t opened_in() const { return opened_in_; }
  bool lost() const { return lost_; }
  // Who took record locks through it and has not been flushed since. What is left when it is released are
  // open-file-description locks: nobody says when those end, so they end with it.
  void AddLockOwner(uint64_t owner) {
    if (std::ranges::count(lock_owners_, owner) == 0) lock_owners_.push_back(owner);
  }
  void DropLockOwner(uint64_t owner) { std::erase(lock_owners_, owner); }
  std::vector<uint64_t> TakeLockOwners() { return std::exchange(lock_owners_, {}); }

 private:
  friend class HeldState;

  const Ino ino_;
  const uint32_t flags_;
  const uint64_t opened_in_;
  bool lost_ = false;
  std::vector<uint64_t> lock_owners_;
};
using FileHandlePtr = std::shared_ptr<FileHandle>;

}  // namespace kfs
