// One history of a metaserver and its mounts: they come up, programs run, things go wrong, all is well again.
// What the programs do, and whether it was right, is for whoever derives from it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/parts/meta_host.h"
#include "tests/sim/parts/part.h"

namespace kfs::sim {

// For lines of the log.
inline double Seconds(Nanos t) { return static_cast<double>(t) / 1e9; }

// What a history waits for.
class PartProgram {
 public:
  virtual ~PartProgram() = default;
  virtual bool ended() const = 0;
  // What it has not been answered, in words.
  virtual std::string UnderWay() const = 0;
};

class MetaRun {
 public:
  struct Options {
    int mounts = 2;
    Nanos session_ttl = 30 * kSecond;
    Nanos cut_max = 5 * kSecond;  // hosts that do not reach each other
    Nanos faults_within = kSecond;
    bool power = true;  // may be lost
    bool mounts_die = true;
  };

  MetaRun(const PartPlan& plan, Options options, MetaHost::Planted planted);
  virtual ~MetaRun();
  PartFigures Go();

 protected:
  virtual void StartPrograms() = 0;
  // The history lasts as long as this, which outlives it.
  void Watch(const PartProgram& program) { watched_.push_back(&program); }
  virtual void PowerLost() {}
  virtual void MountDied(MountHost&) {}
  // What goes wrong besides where there are no mounts.
  virtual void OtherFault() {}
  // All is up, and nothing under way.
  virtual void Judge() = 0;
  // The metaserver, soon.
  void StartAgain();
  bool over() const { return over_; }  // nothing goes wrong any more

  const PartPlan plan_;
  const Options options_;
  World world_;
  PartFigures figures_;
  std::unique_ptr<MetaHost> meta_;
  std::vector<std::unique_ptr<MountHost>> mounts_;

 private:
  bool SetUp();
  bool ProgramsEnded() const;
  std::string UnderWay() const;
  void GoWrong();
  void OneFault();

  std::vector<const PartProgram*> watched_;
  bool over_ = false;
};

}  // namespace kfs::sim
