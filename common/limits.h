// Every limit of the protocol and of the file system in one place, with its reason. All are enforced on
// receipt.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kfs {

constexpr size_t kNameMax = 255;              // bytes of one path component (NAME_MAX)
constexpr size_t kSymlinkMax = 4095;          // bytes of a symlink's target (PATH_MAX less its NUL)
constexpr size_t kXattrNameMax = 255;         // bytes (XATTR_NAME_MAX)
constexpr size_t kXattrSizeMax = 65536;       // bytes of one value (XATTR_SIZE_MAX)
constexpr size_t kXattrValuesMax = 1u << 20;  // bytes of one inode's values
constexpr size_t kXattrListMax = 65536;       // bytes of one inode's names, NULs counted (XATTR_LIST_MAX)
constexpr uint64_t kFileSizeMax = INT64_MAX & ~uint64_t{4095};  // off_t, whole blocks (as MAX_LFS_FILESIZE)
constexpr uint32_t kLinkMax = 1u << 31;  // st_nlink is 32 bits on the wire to the kernel
constexpr int kIdRangesMax = 340;        // extents of a user namespace's map (UID_GID_MAP_MAX_EXTENTS)
constexpr size_t kGroupsMax = 65536;     // supplementary groups of a caller (NGROUPS_MAX)
constexpr size_t kVolumeNameMax = 63;    // so that it can be a DNS label

constexpr size_t kBlockSize = 4096;  // checksum granule and smallest allocation
constexpr uint64_t kChunkSizeDefault = 64ull << 20;
constexpr uint64_t kChunkSizeMin = 64ull << 10;
constexpr uint64_t kChunkSizeMax = 1ull << 30;

constexpr size_t kFrameBodyMax = 1u << 20;     // a protobuf body; readdir pages and inventories stay below it
constexpr size_t kFramePayloadMax = 4u << 20;  // raw data of one frame; FUSE asks for 1 MiB
constexpr size_t kIoSizeMax = 1u << 20;        // one read or write request of a client
constexpr size_t kImagePiece = 1u << 20;       // of a database's file; what ImageGet and ImagePut carry
constexpr size_t kReaddirBytesMax = 256u << 10;  // one readdir page
constexpr size_t kInventoryBatch = 4096;         // chunks in one inventory or delete message
constexpr size_t kGivenUpMax = 1024;             // chunks in one GiveUpWrite or PrepareWrite
constexpr size_t kOpsInFlightMax = 4096;         // of one connection; more are held back in the socket
constexpr size_t kRepliesKeptMax = 65536;        // stored replies of one session not yet acknowledged
constexpr uint32_t kLanesMax =
    16;  // connections of one session: a worker for each core, and few answers to keep apart

}  // namespace kfs
