// Hands a volume of this metaserver to another one while it is mounted. Loop's thread only.
//
//   tables of a checkpoint are sent while the volume is served, again until little is new
//   -> held: callers are told to try again; the rest is sent, and made durable there
//   -> sealed, durably: this database is not opened any more until the configuration decides
//   -> MoveVolume is decided: the other one opens its copy, this one removes its own
//      refused: opened here again.  Not known: called off by a change (the volume keeps its owner, with a new
//      epoch), which is decided either before the move, and then ends it, or after it, and then is refused.
//
// A volume that is stopped is held from the beginning.
//
// A crash before the seal leaves the volume here; after it, what is decided counts.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/lifetime.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/images/image_sender.h"
#include "metaserver/members/member.h"

namespace kfs::meta {

class Mover {
 public:
  struct Options {
    std::string data_dir;
    uint64_t bytes_per_s = 64u << 20;
  };
  Mover(Options options, FileOps& files, EventLoop& loop, Clock& clock, JobThread& jobs, Member& member,
        VolumeHost& volumes);
  ~Mover();

  // Removes what a crash has left. Before anything is moved.
  void Start();
  // `done` comes once, when the volume has its new owner or keeps its old one.
  // REQUIRES: `volume` is in the configuration, with this member as its owner.
  void Move(const pb::VolumeConf& volume, const pb::VolumeMoveRequest& request, Member::ChangeDone done);
  // "to m2:7400, 10 MiB of 20 MiB sent"; empty: it is not being moved.
  std::string Progress(VolumeId id) const;
  // Once a second or so: calls off moves whose outcome is not known.
  void OnTimer();

 private:
  struct Moving;
  using MovingPtr = std::shared_ptr<Moving>;

  Status Check(const pb::VolumeConf& volume, const std::string& peer, const MovingPtr& m) const;
  void Ask(const MovingPtr& m);
  void BeginSending(const MovingPtr& m);
  void SendTables(const MovingPtr& m);
  void HandOver(const MovingPtr& m);
  // REQUIRES: it is held.
  void SendLast(const MovingPtr& m);
  static Status Handing(const MovingPtr& m);
  void Finish(const MovingPtr& m);
  void Decide(const MovingPtr& m);
  void Decided(const MovingPtr& m, const Status& s, const pb::ConfChangeReply& reply);
  // What the configuration says of the volume is done again.
  void LetGo(const MovingPtr& m);
  void Fail(const MovingPtr& m, const Status& s);
  void End(const MovingPtr& m, const Status& s, const pb::ConfChangeReply& reply);
  void RemoveCheckpoint(const MovingPtr& m);
  std::string Dir() const { return options_.data_dir + "/moving"; }

  const Options options_;
  FileOps& files_;
  EventLoop& loop_;
  Clock& clock_;
  JobThread& jobs_;
  Member& member_;
  VolumeHost& volumes_;
  std::map<VolumeId, MovingPtr> moving_;
  std::map<uint64_t, std::shared_ptr<NetClient>>
      dropping_;  // links on which a receiver is told to drop what it has
  uint64_t drops_ = 0;
  bool calling_off_ = false;
  MonoTime next_call_off_{};
  Lifetime lifetime_;
};

}  // namespace kfs::meta
