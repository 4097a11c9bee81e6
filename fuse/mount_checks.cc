#include "fuse/mount_checks.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/key_advice.h"
#include "fuse/mount_flags.h"

namespace kfs::fuse {
namespace {

Status Say(int err, std::string text) { return Status(err, std::move(text)); }

bool HaveFusermount() {
  return access("/usr/bin/fusermount3", X_OK) == 0 || access("/bin/fusermount3", X_OK) == 0;
}

std::string JoinHosts(const MountOptions& options) {
  std::string hosts;
  for (const std::string& h : options.metaservers) hosts += (hosts.empty() ? "" : ", ") + h;
  return hosts;
}

}  // namespace

std::string KfsMountAt(const std::string& mountinfo, const std::string& path) {
  const auto top = FindMount(mountinfo, path);
  return top && top->type == "fuse.kfs" ? top->source : "";
}

Result<std::string> CheckMountPoint(const std::string& dir) {
  struct stat st;
  if (stat(dir.c_str(), &st) != 0) {
    switch (errno) {
      case ENOENT:
        return Say(ENOENT, "the mount point " + dir + " does not exist; make it with: mkdir -p " + dir);
      case ENOTCONN:
      case ECONNABORTED:
        return Say(EBUSY, dir + " is a mount whose process has died; clear it with: umount -l " + dir);
      case EACCES:
        return Say(EACCES, "the mount point " + dir +
                               " cannot be reached: a directory above it may not be searched by you");
      default:
        return ErrnoStatus(errno, "the mount point " + dir);
    }
  }
  if (!S_ISDIR(st.st_mode)) return Say(ENOTDIR, "the mount point " + dir + " is not a directory");
  char* real = realpath(dir.c_str(), nullptr);
  if (real == nullptr) return ErrnoStatus(errno, "the mount point " + dir);
  std::string path(real);
  std::free(real);
  std::ifstream in("/proc/self/mountinfo");
  std::ostringstream text;
  text << in.rdbuf();
  if (const std::string source = KfsMountAt(text.str(), path); !source.empty()) {
    return Say(EBUSY, "the mount point " + path + " is busy: " + source +
                          " is mounted there already; unmount it first (umount " + path +
                          ") or choose another directory");
  }
  return path;
}

Status CheckFuseDevice() {
  if (access("/dev/fuse", F_OK) != 0) {
    return Say(ENODEV,
               "/dev/fuse is missing: load the kernel module with \"modprobe fuse\"; in a container, pass "
               "the device in "
               "(--device /dev/fuse --cap-add SYS_ADMIN)");
  }
  if (geteuid() == 0) return {};
  if (access("/dev/fuse", R_OK | W_OK) != 0) {
    return Say(EACCES, "you may not use /dev/fuse: mount as root (sudo), or have its owner allow you to");
  }
  if (!HaveFusermount()) {
    return Say(EPERM, "only root can mount without fusermount3: use sudo, or install the package fuse3");
  }
  return {};
}

Status ExplainConnect(const MountOptions& options, const Status& why) {
  std::string hint;
  switch (why.code()) {
    case Code::kBadProof:
      hint = AdviceForFile({.use = RefusedKey::Use::kMount,
                            .shown = {},
                            .file = options.secret_file,
                            .volume = options.volume,
                            .words = why.message()});
      break;
    case Code::kWrongVersion:
      hint =
          "this program and the metaserver are of versions that do not understand each other: install the "
          "same release on both";
      break;
    case Code::kWrongCluster:
      hint = "the address belongs to another cluster: check the host and port";
      break;
    case Code::kStopped:
    case Code::kNotOwner:  // another metaserver answers at the owner's address
      return why;          // the metaserver's words say what to do
    default:
      break;
  }
  if (why.code() == Code::kNoDirectory || why.err() == ENOTDIR) {
    hint = "mount \"" + options.volume + "\" as a whole and look, or make the directory there";
  } else if (hint.empty() && (why.err() == EACCES || why.err() == EINVAL) && why.code() == Code::kNone) {
    return why;  // likewise
  }
  if (hint.empty()) {
    // Where the client has said already what it tried, what remains is what to do.
    switch (why.err()) {
      case ENOENT:
        hint = "make it with \"kfs volume create " + options.volume +
               "\", or mount one of those that \"kfs volume list\" shows";
        break;
      case ENODEV:
        hint = "the volume is stopped";
        break;
      case EOPNOTSUPP:
        hint = "the source names " + JoinHosts(options) +
               ", where a server of KFS listens that is no metaserver (a chunkserver): name a metaserver's "
               "port, 7400 unless its option \"listen\" says another";
        break;
      default:
        hint = "the source names " + JoinHosts(options) +
               ": kfs-metaserver must run there, listening at that address and port (its option \"listen\"), "
               "and no firewall "
               "may be between";
        break;
    }
  }
  const std::string what = why.message().empty() ? why.ToString() : why.message();
  return Status(why.err(), why.code(), what + "\n  " + hint);
}

Status ExplainKernel(const MountOptions& options, const Status& why) {
  std::string hint;
  if (why.message().find("user_allow_other") != std::string::npos) {
    hint = "allow_other needs the line \"user_allow_other\" in /etc/fuse.conf, or root";
  } else if (why.err() == EPERM || why.err() == EACCES) {
    hint = "you may not mount on " + options.mountpoint + ": use sudo, or choose a directory of your own";
  } else if (why.err() == EBUSY) {
    hint = options.mountpoint + " is in use: unmount what is there, or choose another directory";
  } else if (why.err() == ENODEV) {
    hint = "the kernel has no FUSE: load the module with \"modprobe fuse\"";
  }
  return Status(why.err(),
                "the kernel did not mount: " + why.message() + (hint.empty() ? "" : "\n  " + hint));
}

}  // namespace kfs::fuse
