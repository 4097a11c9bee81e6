// A machine on which a mount is well, in files of the test's own; each test changes what it is about.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/doctor/doctor.h"
#include "cli/doctor/surroundings.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs::cli::doctor {

class DoctorMachine : public testing::Test {
 protected:
  DoctorMachine() {
    Put("/dev/fuse", "");
    Put("/proc/sys/kernel/osrelease", "6.18.44-amd64\n");
    Put("/sys/module/fuse/parameters/enable_uring", "N\n");
    Put("/proc/sys/fs/fuse/max_pages_limit", "256\n");
    Put("/proc/sys/fs/fuse/default_request_timeout", "0\n");
    Put("/proc/sys/fs/fuse/max_request_timeout", "0\n");
    Put("/etc/fuse.conf", "# comment\nuser_allow_other\n");
    Program("/usr/bin/fusermount3", 04755);
    Program("/sbin/mount.kfs", 0755);
    Put("/proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max processes             95000                95000                processes\n"
        "Max open files            1024                 524288               files\n");
    Put("/proc/self/cgroup", "0::/a.slice/b.scope\n");
    Put("/proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable:    8000000 kB\n");
    Put("/sys/fs/cgroup/a.slice/memory.max", "max\n");
    Put("/sys/fs/cgroup/a.slice/b.scope/pids.max", "4096\n");
    Put("/sys/fs/cgroup/a.slice/b.scope/pids.current", "96\n");
    Put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    Put("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm \n");
    Put("/sys/class/bdi/0:52/read_ahead_kb", "128\n");
    here_.mounts.push_back({.mountpoint = "/mnt/data",
                            .source = "m1:7400:/data",
                            .options = "rw,relatime,hard,timeo=600,loglevel=info",
                            .told = {},
                            .shown = "rw,relatime,rw,user_id=0,group_id=0,allow_other",
                            .device = "0:52"});
  }

  void Put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = Path(path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  void Program(const std::string& path, unsigned mode) {
    Put(path, "#!/bin/sh\n");
    std::filesystem::permissions(Path(path), static_cast<std::filesystem::perms>(mode));
  }
  void Remove(const std::string& path) { std::filesystem::remove_all(Path(path)); }
  std::string Path(const std::string& path) const { return root_.path() + path; }

  // The one finding of that subject; "" in it: there is none, or there are several.
  Finding Only(const std::string& subject) const {
    Finding found;
    size_t count = 0;
    for (const Finding& f : Diagnose(here_)) {
      if (f.subject == subject) found = f, ++count;
    }
    EXPECT_EQ(count, 1u) << subject;
    return count == 1 ? found : Finding{};
  }
  // The worst of that subject.
  Finding WorstOf(const std::string& subject) const {
    Findings all = Diagnose(here_);
    std::erase_if(all, [&](const Finding& f) { return f.subject != subject; });
    if (all.empty()) ADD_FAILURE() << "nothing of " << subject;
    return all.empty() ? Finding{}
                       : *std::max_element(all.begin(), all.end(), [](const Finding& a, const Finding& b) {
                           return a.severity < b.severity;
                         });
  }
  bool None(const std::string& subject) const {
    const Findings all = Diagnose(here_);
    return std::none_of(all.begin(), all.end(), [&](const Finding& f) { return f.subject == subject; });
  }

  const TempDir root_;
  Surroundings here_{.files = MachineFiles(root_.path()), .path = {}};
};

inline bool IsUnknown(const Finding& f) {
  return f.severity == Severity::kNote && f.words.starts_with("cannot tell: ");
}

}  // namespace kfs::cli::doctor
