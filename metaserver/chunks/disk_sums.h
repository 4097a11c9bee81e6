// Answers about very many disks, made to fit into a message.
#pragma once

#include <google/protobuf/repeated_field.h>

#include "common/limits.h"
#include "proto/admin.pb.h"

namespace kfs::meta {

// What an answer may take before it is shortened: it goes into a message with other things.
constexpr size_t kAnswerBytesMax = kFrameBodyMax * 5 / 8;

// One line in place of all: "12 disks", with the first error that there is. One alone stays as it is.
void SumDisks(google::protobuf::RepeatedPtrField<pb::DiskStatus>* disks);

// Sums the disks of each of the answer's chunkservers if the answer is too large as it is.
template <typename Answer>
void ShortenDisks(Answer* answer) {
  if (answer->ByteSizeLong() <= kAnswerBytesMax) return;
  for (auto& c : *answer->mutable_chunkserver()) SumDisks(c.mutable_disk());
}

// The same for the reports of all members; if that is not enough, a chunkserver that all is well with is in
// one of the reports only.
void Shorten(pb::VolumeStatusReply* status);

}  // namespace kfs::meta
