// What the commands that only read print: text for people and the same as JSON. Each is made of the
// metaserver's answers alone, in the file of its command. Any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/types.h"
#include "proto/admin.pb.h"

namespace kfs::cli {

// kfs status: a line about the cluster.
std::string MembersLine(const pb::ConfShowReply& conf);

std::string PeerStatusText(const pb::ConfShowReply& conf, TimeNs now);
nlohmann::json PeerStatusJson(const pb::ConfShowReply& conf);
std::string PeerWhyText(const pb::PeerWhyReply& why);
nlohmann::json PeerWhyJson(const pb::PeerWhyReply& why);

// `conf` knows the volumes whose owner has not reported; `name` empty: all volumes.
std::string VolumeStatusText(const pb::VolumeStatusReply& status, const pb::ConfShowReply& conf,
                             const std::string& name);
nlohmann::json VolumeStatusJson(const pb::VolumeStatusReply& status, const pb::ConfShowReply& conf,
                                const std::string& name);

// "started", "stopped", "moving", "not served", "owner away": as the metaserver asked sees it, which knows
// the others' connections. `conf` may be null.
std::string VolumeState(const pb::VolumeInfo& volume, const pb::ConfShowReply* conf);
// A number that only the owner knows: "?" where it could be asked, "-" where there is nobody to ask.
std::string CountedOrState(const pb::VolumeInfo& volume, const std::string& state, const std::string& text);

std::string ChunkserverListText(const pb::ConfShowReply& conf, TimeNs now);
nlohmann::json ChunkserverListJson(const pb::ConfShowReply& conf);
std::string ChunkserverStatusText(const pb::VolumeStatusReply& status);
nlohmann::json ChunkserverStatusJson(const pb::VolumeStatusReply& status);

// A line of 'kfs chunkserver files', and its JSON.
std::string ListedFileText(const std::string& volume, const pb::ChunkserverFilesReply::File& file);
nlohmann::json ListedFileJson(const std::string& volume, const pb::ChunkserverFilesReply::File& file);
// On one line, and unambiguous: "\x0a" for what does not show.
std::string ListedPath(const std::string& path);
// What volumes have lost with chunkservers that were removed, a line each; empty: nothing that anybody wants
// to hear of.
std::string LostText(const pb::VolumeInfo& volume);

// Options of a volume, or of the cluster (`volume` null), set or not; one of them if `name` is not empty.
std::string OptionsText(const pb::ConfShowReply& conf, const pb::VolumeConf* volume, const std::string& name);
nlohmann::json OptionsJson(const pb::ConfShowReply& conf, const pb::VolumeConf* volume,
                           const std::string& name);

std::string TransactionsText(const pb::TransactionListReply& list, bool steps, TimeNs now);
nlohmann::json TransactionsJson(const pb::TransactionListReply& list);
// The log lines of the state machines of the transactions whose id begins with `id`.
std::string TransitionsText(const pb::TransactionListReply& list, const std::string& id);

// " by alice@m1 with key admin/ops/3"; empty: nobody is known.
std::string AskerText(const std::string& who, const std::string& key);
std::string LogText(const pb::ConfLogReply& log);
nlohmann::json LogJson(const pb::ConfLogReply& log);

}  // namespace kfs::cli
