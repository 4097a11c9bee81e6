// Between the public types of kfs_client.h and the messages of proto/. Pure functions.
#pragma once

#include "client/kfs_client.h"
#include "proto/meta.pb.h"

namespace kfs {

Attr AttrFromPb(const pb::Attr& a);
// The one place that says how long what a metaserver has just told holds: not at all, as it promises to tell
// of no change.
Entry EntryFromPb(const pb::Attr& a);
FileLock LockFromPb(const pb::LockRange& l);
void LockToPb(Ino ino, const FileLock& lock, pb::LockRange* out);
void CallerToPb(const Caller& caller, pb::Context* ctx);
DirPage DirPageFromPb(pb::ReaddirReply& reply);  // takes the names out of `reply`

}  // namespace kfs
