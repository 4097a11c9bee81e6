// A program with a session of its own that makes, writes, cuts, renames over, removes and keeps open files: it
// asks the executor itself, its messages are late, and it attaches again and reclaims after a start. Names are
// everybody's, and a file may be open with several; but it is written and cut only by the one that has made it,
// which so knows what has to be there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "metaserver/executor/executor.h"
#include "tests/sim/parts/direct_call.h"
#include "tests/sim/parts/meta_run.h"
#include "tests/sim/parts/model_chunks.h"

namespace kfs::sim {

class FileProgram : public PartProgram, public std::enable_shared_from_this<FileProgram> {
 public:
  // `number`: of so many programs.
  FileProgram(World& world, MetaHost& meta, ModelChunks& chunks, int number, int programs,
              PartFigures* figures);

  void Start() { Attach(); }
  bool ended() const override { return ended_; }
  std::string UnderWay() const override;
  // It is gone, without a word.
  void Die();

  // The metaserver has ended, and its session's object with it; it is there again.
  void MetaserverEnded(bool power);
  void MetaserverBegan();
  // In its process: the program is there yet.
  void KeepAlive();
  // Planted: files without a name are not open any more.
  void ForgetNameless();

 private:
  // By inode: what it has open.
  struct File {
    uint32_t opens = 0;
    std::set<uint32_t> committed;  // chunks that must be there
    bool doubtful = false;         // some of it may have been lost
  };
  using DoneFn = std::function<void(const Status&, std::string_view)>;
  struct Pending {
    uint64_t number = 0;  // 0: none
    Op op{};
    std::string body;
    DoneFn done;
  };
  struct Write {
    uint64_t ino = 0;
    uint32_t index = 0;
    int tries = 0;
    uint64_t ahead_chunk = 0, ahead_version = 0;
  };

  void Attach();
  void Reclaim();
  void Attached();
  void AttachLater();
  void Forget();  // the session and what it has

  template <typename Rpc, typename Fn>
  void Ask(typename Rpc::Request request, Fn fn);
  void Send();
  void Answered(uint64_t number, const Status& s, std::string_view body);
  // Runs in the metaserver with a call of this session; its answer comes as a message.
  void InMetaserver(std::function<void()> fn);
  DoneFn AsMessage(DoneFn fn);

  void Next();
  void Step();
  void OpenName(const std::string& name);
  void Prepare(const Write& write);
  void SendData(const Write& write, const pb::ChunkLayout& chunk);
  void Commit(const Write& write, const pb::ChunkLayout& chunk);
  void PrepareAgain(Write write);
  void Cut(uint64_t ino);
  void Close(uint64_t ino);
  void Read(uint64_t ino);
  void CheckRead(uint64_t ino, const pb::LayoutReply& layout);
  void End();
  std::string DrawName();  // mostly one of its own

  World& world_;
  MetaHost& meta_;
  ModelChunks& chunks_;
  const int number_, programs_;
  PartFigures* const figures_;
  int steps_ = 0;
  bool ended_ = false, closing_ = false;

  meta::SessionPtr session_;  // null: not attached
  uint64_t id_ = 0;           // of the session; 0: none is known
  std::string key_;
  uint64_t attaching_ = 0;  // which attempt
  uint64_t op_id_ = 0, calls_ = 0;
  Pending pending_;
  bool writing_ = false;  // between two calls of one write
  std::map<uint64_t, File> files_;
  std::set<uint64_t> made_;  // inodes, by itself
};

}  // namespace kfs::sim
