// Programs and files that mounting needs beside kfs itself.
#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"

namespace kfs::cli::doctor {
namespace {

// The first that may be run; empty: none.
std::string FindProgram(const Surroundings& here, const std::string& name, std::vector<std::string> folders) {
  for (const std::string& folder : folders) {
    if (here.files.MayRun(folder + "/" + name)) return folder + "/" + name;
  }
  return "";
}

std::vector<std::string> PathOf(const Surroundings& here) {
  std::vector<std::string> folders = {"/usr/bin", "/bin", "/usr/local/bin"};
  std::istringstream path(here.path);
  for (std::string folder; std::getline(path, folder, ':');) {
    if (folder.starts_with('/')) folders.push_back(folder);
  }
  return folders;
}

Finding Fusermount(const Surroundings& here) {
  const std::string subject = "fusermount3", install = "apt-get install fuse3";
  const std::string found = FindProgram(here, subject, PathOf(here));
  if (found.empty() && here.root)
    return {Severity::kNote, subject, "is not installed: only root can mount",
            install + ", where others are to", ""};
  if (found.empty())
    return {Severity::kCritical, subject, "is not installed: only root can mount", "use sudo, or " + install,
            ""};
  if (here.root || here.files.IsSetuid(found)) return {Severity::kOk, subject, found, "", ""};
  return {Severity::kWarning, subject,
          found + " is not setuid: only root can mount, unless it has capabilities",
          "chmod u+s " + found + ", or install fuse3 again", ""};
}

// mount(8) looks in these only.
Finding MountHelper(const Surroundings& here) {
  const std::string subject = "mount.kfs";
  const std::string found = FindProgram(here, subject, {"/sbin", "/usr/sbin", "/sbin/fs.d", "/sbin/fs"});
  if (!found.empty()) return {Severity::kOk, subject, found, "", ""};
  return {Severity::kNote, subject, "is not where mount(8) looks: 'mount -t kfs' and /etc/fstab do not work",
          "install kfs-client, or link mount.kfs into /sbin; 'kfs mount' does without", ""};
}

Finding AllowOther(const Surroundings& here) {
  const std::string subject = "user_allow_other", file = "/etc/fuse.conf";
  const auto text = here.files.Text(file);
  if (!text.ok() && text.status().err() != ENOENT) return CannotTell(subject, text.status());
  std::istringstream lines(text.ok() ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    if (words >> word && word == subject) return {Severity::kOk, subject, "is in " + file, "", ""};
  }
  return {
      Severity::kNote, subject, fmt::format("is not in {}: nobody else can enter what you mount", file),
      fmt::format(
          "add the line user_allow_other to {} (root), where others are to, and mount with -o allow_other",
          file),
      ""};
}

}  // namespace

Findings CheckPrograms(const Surroundings& here) {
  Findings out = {Fusermount(here), MountHelper(here)};
  if (!here.root) out.push_back(AllowOther(here));  // root needs no permission
  return out;
}

}  // namespace kfs::cli::doctor
