// Adds up the space of disks, each file system once: several directories of one chunkserver, or several
// chunkservers, may store on the same one.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "proto/chunk.pb.h"

namespace kfs::meta {

class SpaceSum {
 public:
  // Sick disks count nothing.
  void Add(const pb::DiskStatus& disk);
  uint64_t capacity() const { return capacity_; }    // bytes
  uint64_t available() const { return available_; }  // bytes

 private:
  struct Space {
    uint64_t capacity = 0, available = 0;
  };
  std::unordered_map<std::string, Space> shared_;  // by DiskStatus::file_system
  uint64_t capacity_ = 0, available_ = 0;
};

}  // namespace kfs::meta
