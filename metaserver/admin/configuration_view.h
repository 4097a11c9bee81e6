// What a member knows of its configuration, as messages for the command-line tool. Reads only.
#pragma once

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/members/member.h"

namespace kfs::meta {

void FillConf(const Member& member, const Chunkservers& chunkservers, pb::ConfShowReply* reply);
void FillLog(Member& member, const pb::ConfLogRequest& request, pb::ConfLogReply* reply);
void FillTransactions(const Member& member, pb::TransactionListReply* reply);
void FillDisks(const Chunkserver& server, google::protobuf::RepeatedPtrField<pb::DiskStatus>* disks);

}  // namespace kfs::meta
