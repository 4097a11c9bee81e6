// What `kfs doctor` finds on this machine alone: each finding from files that say so, and no crash from files
// that say nothing that can be understood.
#include "doctor_machine.h"

#include <sys/stat.h>

#include <chrono>
#include <nlohmann/json.hpp>

namespace kfs::cli::doctor {
namespace {

using testing::HasSubstr;

class MachineFilesTest : public DoctorMachine {};

TEST_F(MachineFilesTest, ReadsALineAndANumber) {
  Put("/n", "  42 \n");
  EXPECT_EQ(*here_.files.Number("/n"), 42u);
  EXPECT_EQ(*here_.files.Line("/n"), "42");
}

TEST_F(MachineFilesTest, WhatCannotBeUnderstoodIsAnErrorThatNamesTheFile) {
  for (const char* text :
       {"", "\n\n", "-1", "12x", "1 2", "max", "99999999999999999999999", "\x01\xff\n", "1\n2\n"}) {
    Put("/n", text);
    const auto number = here_.files.Number("/n");
    ASSERT_FALSE(number.ok()) << text;
    EXPECT_EQ(number.status().err(), EINVAL);
    EXPECT_THAT(number.status().message(), HasSubstr("/n"));
  }
  EXPECT_EQ(here_.files.Number("/none").status().err(), ENOENT);
}

TEST_F(MachineFilesTest, NothingThatBlocksOrHasNoEndIsRead) {
  ASSERT_EQ(mkfifo(Path("/fifo").c_str(), 0600), 0);
  std::filesystem::create_directories(Path("/folder"));
  Put("/huge", "");
  std::filesystem::resize_file(Path("/huge"), MachineFiles::kSizeMax + 1);
  EXPECT_EQ(here_.files.Text("/fifo").status().err(), EINVAL);
  EXPECT_EQ(here_.files.Text("/folder").status().err(), EINVAL);
  EXPECT_EQ(here_.files.Text("/huge").status().err(), EFBIG);
}

class DoctorMachineTest : public DoctorMachine {};

TEST_F(DoctorMachineTest, AMachineThatIsWellHasNoFindingToActOn) {
  for (const Finding& f : Diagnose(here_)) {
    if (f.check == "reach" || f.check == "volume" || f.check == "room" || f.check == "health") continue;
    EXPECT_LE(f.severity, Severity::kNote) << f.subject << ": " << f.words;
    if (f.subject != "wall clock") {
      EXPECT_FALSE(IsUnknown(f)) << f.subject << ": " << f.words;
    }
  }
}

TEST_F(DoctorMachineTest, WithoutAnyFileItEndsWellAndSaysWhatItCannotTell) {
  for (const char* folder : {"/proc", "/sys", "/etc", "/usr", "/sbin"}) Remove(folder);
  here_.root = false;
  for (const char* subject : {"FUSE protocol", "FUSE by io_uring", "open files", "memory", "memory limit",
                              "processes and threads", "clock source"})
    EXPECT_TRUE(IsUnknown(Only(subject))) << subject;
  EXPECT_TRUE(None("size of FUSE requests"));
}

TEST_F(DoctorMachineTest, NoFormOfAnyFileIsACrash) {
  const std::vector<std::string> forms = {"",
                                          "\n",
                                          "garbage",
                                          std::string(100000, 'x'),
                                          std::string("\0\xff:/:,\n", 7),
                                          ":::::\n0::\n0:memory:relative/../..\n",
                                          "-1\n",
                                          "Max open files\nMemAvailable:\n",
                                          "MemAvailable: 99999999999999999999 kB\n"};
  std::vector<std::filesystem::path> all;
  for (const auto& e : std::filesystem::recursive_directory_iterator(root_.path())) {
    if (e.is_regular_file()) all.push_back(e.path());
  }
  ASSERT_GT(all.size(), 10u);
  for (const bool root : {true, false}) {
    here_.root = root;
    for (const std::string& form : forms) {
      for (const auto& file : all) std::ofstream(file, std::ios::binary | std::ios::trunc) << form;
      for (const Finding& f : Diagnose(here_)) EXPECT_FALSE(f.words.empty()) << f.subject;
    }
  }
  for (const char* subject : {"FUSE protocol", "FUSE by io_uring", "open files", "memory"})
    EXPECT_TRUE(IsUnknown(Only(subject))) << subject;
}

TEST_F(DoctorMachineTest, TheDevice) {
  EXPECT_EQ(Only("/dev/fuse").severity, Severity::kOk);
  Remove("/dev/fuse");
  EXPECT_EQ(Only("/dev/fuse").severity, Severity::kCritical);
  EXPECT_THAT(Only("/dev/fuse").next, HasSubstr("modprobe fuse"));
}

TEST_F(DoctorMachineTest, TheProtocolByTheRelease) {
  EXPECT_THAT(Only("FUSE protocol").words, HasSubstr("7.45, by the release of the kernel, Linux 6.18"));
  Put("/proc/sys/kernel/osrelease", "6.6.0");
  EXPECT_EQ(Only("FUSE protocol").severity, Severity::kOk);
  EXPECT_THAT(Only("FUSE protocol").words, HasSubstr("7.39"));
  Put("/proc/sys/kernel/osrelease", "6.1.0-28-amd64");
  EXPECT_EQ(Only("FUSE protocol").severity, Severity::kWarning);
  EXPECT_THAT(Only("FUSE protocol").words, HasSubstr("7.37"));
  EXPECT_THAT(Only("FUSE protocol").words, HasSubstr("mmap"));
  Put("/proc/sys/kernel/osrelease", "4.4.0");
  EXPECT_THAT(Only("FUSE protocol").words, HasSubstr("earlier"));
  for (const char* odd : {"6", "6.", ".6", "six", "99999999999.1"}) {
    Put("/proc/sys/kernel/osrelease", odd);
    EXPECT_TRUE(IsUnknown(Only("FUSE protocol"))) << odd;
  }
}

TEST_F(DoctorMachineTest, IoUringIsInformationOnly) {
  const std::string subject = "FUSE by io_uring", file = "/sys/module/fuse/parameters/enable_uring";
  const char* not_used = "does not use it yet";
  Finding f = Only(subject);
  EXPECT_EQ(f.severity, Severity::kNote);
  EXPECT_THAT(f.words, HasSubstr("is off"));
  EXPECT_THAT(f.next, HasSubstr("options fuse enable_uring=1"));
  EXPECT_THAT(f.next, HasSubstr("fuse.enable_uring=1"));
  Put(file, "Y\n");
  EXPECT_THAT(Only(subject).words, HasSubstr("is on"));
  EXPECT_EQ(Only(subject).next, "");
  Put(file, "perhaps\n");
  EXPECT_TRUE(IsUnknown(Only(subject)));
  Remove(file);
  EXPECT_THAT(Only(subject).words, HasSubstr("built without it"));
  Put("/proc/sys/kernel/osrelease", "6.6.0");
  f = Only(subject);
  EXPECT_EQ(f.severity, Severity::kNote);
  EXPECT_THAT(f.words, HasSubstr("this kernel does not have it"));
  EXPECT_THAT(f.words, HasSubstr(not_used));
}

TEST_F(DoctorMachineTest, SettingsOfTheMachineThatBoundRequests) {
  Put("/proc/sys/fs/fuse/max_pages_limit", "32\n");
  EXPECT_EQ(Only("size of FUSE requests").severity, Severity::kWarning);
  Put("/proc/sys/fs/fuse/default_request_timeout", "60\n");
  EXPECT_EQ(Only("fs.fuse.default_request_timeout").severity, Severity::kWarning);
  EXPECT_THAT(Only("fs.fuse.default_request_timeout").words, HasSubstr("60 s"));
  Remove("/proc/sys/fs/fuse");  // before these were there
  EXPECT_TRUE(None("size of FUSE requests"));
  EXPECT_TRUE(None("fs.fuse.default_request_timeout"));
}

TEST_F(DoctorMachineTest, TheProgramThatMountsForOthersThanRoot) {
  here_.root = false;
  EXPECT_EQ(Only("fusermount3").severity, Severity::kOk);
  Program("/usr/bin/fusermount3", 0755);
  EXPECT_EQ(Only("fusermount3").severity, Severity::kWarning);
  Remove("/usr/bin/fusermount3");
  EXPECT_EQ(Only("fusermount3").severity, Severity::kCritical);
  Program("/opt/bin/fusermount3", 04755);
  here_.path = "relative:/opt/bin::";
  EXPECT_EQ(Only("fusermount3").words, "/opt/bin/fusermount3");
  Remove("/opt");
  here_.root = true;
  EXPECT_EQ(Only("fusermount3").severity, Severity::kNote) << "root does without";
}

TEST_F(DoctorMachineTest, MountKfsAndUserAllowOther) {
  EXPECT_EQ(Only("mount.kfs").words, "/sbin/mount.kfs");
  Remove("/sbin/mount.kfs");
  EXPECT_EQ(Only("mount.kfs").severity, Severity::kNote);
  EXPECT_TRUE(None("user_allow_other")) << "root needs it not";
  here_.root = false;
  EXPECT_EQ(Only("user_allow_other").severity, Severity::kOk);
  Put("/etc/fuse.conf", "#user_allow_other\nmount_max = 9\n");
  EXPECT_EQ(Only("user_allow_other").severity, Severity::kNote);
  EXPECT_FALSE(Only("user_allow_other").next.empty());
  Remove("/etc/fuse.conf");
  EXPECT_THAT(Only("user_allow_other").words, HasSubstr("is not in /etc/fuse.conf"));
}

TEST_F(DoctorMachineTest, AMountThatDoesNotAnswer) {
  const std::string subject = "mount /mnt/data";
  LocalMount& m = here_.mounts.front();
  m.told = Status(ETIMEDOUT, "x");
  EXPECT_EQ(WorstOf(subject).severity, Severity::kWarning);
  m.told = Status(ENOTCONN, "x");
  EXPECT_EQ(WorstOf(subject).severity, Severity::kCritical);
  EXPECT_THAT(WorstOf(subject).next, HasSubstr("umount -l"));
  m.told = Status(EACCES, "x");
  EXPECT_TRUE(IsUnknown(WorstOf(subject)));
  m.told = Status(ENODATA, "x");
  EXPECT_THAT(WorstOf(subject).words, HasSubstr("another version"));
  here_.mounts.clear();
  EXPECT_EQ(Only("mounts").severity, Severity::kNote);
  here_.mounts_known = Status(ENOENT, "no mountinfo");
  EXPECT_TRUE(IsUnknown(Only("mounts")));
}

TEST_F(DoctorMachineTest, OptionsThatCost) {
  const std::string subject = "mount /mnt/data";
  LocalMount& m = here_.mounts.front();
  EXPECT_EQ(WorstOf(subject).severity, Severity::kOk);
  m.options = "rw,sync,relatime";
  EXPECT_THAT(WorstOf(subject).words, HasSubstr("mounted with sync"));
  EXPECT_EQ(WorstOf(subject).severity, Severity::kWarning);
  m.options = "rw,loglevel=debug";
  EXPECT_THAT(WorstOf(subject).next, HasSubstr("loglevel=info"));
  m.options = "rw,trace";
  EXPECT_EQ(WorstOf(subject).severity, Severity::kWarning);
  m.options = "rw,strictatime,tracer,log=/sync";
  EXPECT_THAT(WorstOf(subject).words, HasSubstr("strictatime"));
  m.options = "rw,noatime";
  m.shown = "rw,max_read=131072";
  EXPECT_THAT(WorstOf(subject).words, HasSubstr("at most 128.0 KiB"));
  m.shown = "rw,max_read=1048576";
  EXPECT_EQ(WorstOf(subject).severity, Severity::kOk);
  m.shown = "rw,max_read=much";
  EXPECT_TRUE(IsUnknown(WorstOf(subject)));
}

TEST_F(DoctorMachineTest, ReadAheadAndRequestsThatWait) {
  const std::string subject = "mount /mnt/data";
  Put("/sys/class/bdi/0:52/read_ahead_kb", "0\n");
  EXPECT_EQ(WorstOf(subject).severity, Severity::kNote);
  EXPECT_THAT(WorstOf(subject).next, HasSubstr("/sys/class/bdi/0:52/read_ahead_kb"));
  Put("/sys/class/bdi/0:52/read_ahead_kb", "1024\n");
  Put("/sys/fs/fuse/connections/52/waiting", "12\n");
  EXPECT_EQ(WorstOf(subject).severity, Severity::kOk);
  Put("/sys/fs/fuse/connections/52/waiting", "300\n");
  EXPECT_THAT(WorstOf(subject).words, HasSubstr("300 requests wait"));
  here_.mounts.front().device = "odd";
  EXPECT_TRUE(IsUnknown(WorstOf(subject)));
}

TEST_F(DoctorMachineTest, Descriptors) {
  const auto limit = [this](const std::string& hard) {
    Put("/proc/self/limits", "Max open files            64                   " + hard + "     files\n");
    return Only("open files");
  };
  EXPECT_EQ(limit("128").severity, Severity::kWarning);
  EXPECT_EQ(limit("256").severity, Severity::kOk);
  EXPECT_EQ(limit("unlimited").words, "no limit");
  EXPECT_TRUE(IsUnknown(limit("some")));
  here_.asked.servers.resize(100);
  for (auto& s : here_.asked.servers) s.name = "x";
  EXPECT_EQ(limit("512").severity, Severity::kWarning) << "many servers, many connections";
}

TEST_F(DoctorMachineTest, MemoryOfTheMachineAndOfCgroups) {
  Put("/proc/meminfo", "MemAvailable:     100000 kB\n");
  EXPECT_EQ(Only("memory").severity, Severity::kWarning);
  EXPECT_EQ(Only("memory limit").severity, Severity::kOk);
  // A group further up bounds those below it.
  Put("/sys/fs/cgroup/a.slice/memory.max", "134217728\n");
  EXPECT_EQ(Only("memory limit").severity, Severity::kWarning);
  EXPECT_THAT(Only("memory limit").words, HasSubstr("/sys/fs/cgroup/a.slice/memory.max"));
  Put("/sys/fs/cgroup/a.slice/memory.max", "8589934592\n");
  EXPECT_THAT(Only("memory limit").words, HasSubstr("8.0 GiB"));
  Put("/sys/fs/cgroup/a.slice/memory.max", "lots\n");
  EXPECT_TRUE(IsUnknown(Only("memory limit")));
  // Version 1, whose "no limit" is a number; a container sees its own group as the root.
  Put("/proc/self/cgroup", "4:cpu,memory:/docker/abc\n");
  Put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Only("memory limit").severity, Severity::kOk);
  Put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n");
  EXPECT_EQ(Only("memory limit").severity, Severity::kWarning);
}

TEST_F(DoctorMachineTest, ProcessesAndThreads) {
  const std::string subject = "processes and threads";
  EXPECT_THAT(Only(subject).words, HasSubstr("4000 of 4096"));
  Put("/sys/fs/cgroup/a.slice/b.scope/pids.current", "4090\n");
  EXPECT_EQ(Only(subject).severity, Severity::kWarning);
  Put("/sys/fs/cgroup/a.slice/b.scope/pids.current", "5000\n");
  EXPECT_THAT(Only(subject).words, HasSubstr("0 of 4096"));
  Put("/sys/fs/cgroup/a.slice/b.scope/pids.max", "max\n");
  EXPECT_EQ(Only(subject).severity, Severity::kOk);
  Put("/proc/self/limits", "Max processes             16                   16     processes\n");
  EXPECT_EQ(Only(subject).severity, Severity::kOk) << "root is not bound by it";
  here_.root = false;
  EXPECT_EQ(Only(subject).severity, Severity::kWarning);
}

TEST_F(DoctorMachineTest, ClockSourceAndSleep) {
  Put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
  EXPECT_EQ(Only("clock source").severity, Severity::kWarning);
  EXPECT_THAT(Only("clock source").words, HasSubstr("tsc hpet acpi_pm"));
  Put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock\n");
  EXPECT_EQ(Only("clock source").severity, Severity::kOk);
  EXPECT_EQ(Only("suspended").severity, Severity::kOk);
  here_.mono_time = std::chrono::hours(10);
  here_.boot_time = std::chrono::hours(11);
  EXPECT_THAT(Only("suspended").words, HasSubstr("for 3600 s"));
  EXPECT_EQ(Only("suspended").severity, Severity::kNote);
}

TEST_F(DoctorMachineTest, WhereLogsAre) {
  std::filesystem::create_directories(Path("/var/log"));
  here_.mounts.front().options = "rw,log=/var/log/kfs.log";
  EXPECT_NE(Only("room for logs in /var/log").severity, Severity::kCritical);
  EXPECT_FALSE(IsUnknown(Only("room for logs in /var/log")));
  here_.mounts.front().options = "rw,log=/none/kfs.log";
  EXPECT_TRUE(IsUnknown(Only("room for logs in /none")));
  here_.mounts.front().options = "rw,log=/mnt/data/logs/kfs.log";
  EXPECT_EQ(Only("room for logs in /mnt/data/logs").severity, Severity::kWarning) << "into itself";
}

TEST_F(DoctorMachineTest, NamesOfOthersMountsDoNotReachTheTerminal) {
  here_.mounts.front().mountpoint = "/tmp/\x1b[2J";
  here_.mounts.front().source = "m1\n:/data";
  for (const Finding& f : Diagnose(here_)) {
    for (const std::string& text : {f.subject, f.words})
      EXPECT_EQ(text.find_first_of("\x1b\n"), std::string::npos) << text;
  }
}

TEST(DoctorReportTest, TheWorstIsTheExitCode) {
  const Finding ok{Severity::kOk, "a", "is there", "", "x"}, note{Severity::kNote, "b", "may be", "", "x"},
      warning{Severity::kWarning, "c", "is slow", "do that", "x"},
      critical{Severity::kCritical, "d", "is gone", "", "x"};
  EXPECT_EQ(ExitCodeOf(Worst({})), 0);
  EXPECT_EQ(ExitCodeOf(Worst({ok, note})), 0);
  EXPECT_EQ(ExitCodeOf(Worst({ok, warning, note})), 1);
  EXPECT_EQ(ExitCodeOf(Worst({critical, warning})), 2);
  EXPECT_EQ(DoctorText({ok, warning}), "ok        a: is there\nwarning   c: is slow  -> do that\n");
  const nlohmann::json json = DoctorJson({note, warning});
  EXPECT_EQ(json["state"], "warning");
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["findings"][1]["next"], "do that");
  EXPECT_EQ(json["findings"][0]["check"], "x");
  EXPECT_EQ(DoctorJson({note})["state"], "ok");
}

}  // namespace
}  // namespace kfs::cli::doctor
