# shellcheck shell=bash
# Machines for tests: each has a root of its own (an overlay of this machine's /, kept in memory), a network with one address
# on a common bridge, a host name, and its own devices, processes and mounts. Nothing of this machine is changed and nothing is
# left, however the test ends: all of it lives in namespaces that end with it, but for the control groups, which a janitor
# removes. To be sourced first of all.
#
# Each runs systemd, with little more than what KFS's units and fstab need: the journal, tmpfiles, users' sessions, remote-fs.target.
# Where systemd cannot be run (it is not installed, or cgroup2 cannot be mounted) a script stands in for systemctl (systemctl.sh):
# it starts the ExecStart of the units that are installed, and nothing of their sandbox, order and restarts is tried. The first
# line that a test prints says which it is.
#   KFS_INIT=systemd    fails rather than use the stand-in
#   KFS_INIT=stand-in   uses it although systemd could be run

skip_test() { echo "SKIP: $1"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }

# Fails with a word why where systemd cannot be the init of a machine.
can_run_systemd() {
  [ -x /lib/systemd/systemd ] || { echo "systemd is not installed"; return 1; }
  # shellcheck disable=SC2016
  unshare --mount --cgroup --ipc --pid --fork --kill-child bash -c '
    mount -t cgroup2 cgroup2 /sys/fs/cgroup && group=$(mktemp -d /sys/fs/cgroup/kfs-test.XXXXXX) || exit
    # One that others may be moved to.
    (echo 0 >"$group/cgroup.procs"); moved=$?
    rmdir "$group" && exit $moved' 2>&1 | head -1 | grep . && return 1
  return 0
}

# What outlives the namespaces: waits for the end of all of a test, and removes its control groups and the directory it is in.
# REQUIRES: its standard input is held open by the test's processes, and by nobody else.
janitor() {
  local group=$1 dir=$2 tries
  cat >/dev/null
  for ((tries = 0; tries < 200; tries++)); do
    rm -rf --one-file-system "$dir"
    [ -z "$group" ] || { echo 1 >"$group/cgroup.kill"; find "$group" -depth -type d -exec rmdir {} +; }
    [ -e "$dir" ] || [ -e "$group" ] || break
    sleep 0.05
  done
}

case ${KFS_MACHINES:-} in
  "")
    [ "$(id -u)" = 0 ] || skip_test "needs root"
    for tool in unshare nsenter ip pivot_root; do command -v $tool >/dev/null || skip_test "needs $tool"; done
    reason=$(unshare --mount --net --uts --pid --fork --kill-child bash -c '
      mount -t tmpfs machines /mnt && mkdir /mnt/{upper,work,root} && ip link add switch type bridge &&
      mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work machine /mnt/root' 2>&1) ||
      skip_test "no namespaces, bridges or overlays of / can be made here: $(head -1 <<<"$reason")"
    case ${KFS_INIT:-} in
      stand-in) init=stand-in reason="KFS_INIT asks for it" ;;
      systemd | "") if reason=$(can_run_systemd); then init=systemd; else init=stand-in; fi ;;
      *) echo "KFS_INIT=$KFS_INIT: systemd or stand-in"; exit 2 ;;
    esac
    if [ $init = systemd ]; then
      echo "machines: $(/lib/systemd/systemd --version | head -1)"
    elif [ "${KFS_INIT:-}" = systemd ]; then
      echo "machines: systemd cannot be run: $reason"
      exit 1
    else
      echo "machines: a stand-in for systemd: $reason"
    fi
    KFS_MACHINES=$init exec unshare --mount --cgroup bash "$0" "$@" ;;
  janitor) janitor "$@"; exit ;;
  systemd | stand-in)
    group=""
    if [ "$KFS_MACHINES" = systemd ]; then
      mount -t cgroup2 cgroup2 /sys/fs/cgroup && group=$(mktemp -d /sys/fs/cgroup/kfs-test.XXXXXX) || exit
    fi
    TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/kfs-machines.XXXXXX") || exit
    export TMPDIR
    # In a session of its own: who kills the test may kill its whole process group.
    exec 9> >(KFS_MACHINES=janitor exec setsid bash "$0" "$group" "$TMPDIR" >/dev/null 2>&1)
    KFS_MACHINES="in $group" exec unshare --mount --net --ipc --pid --fork --kill-child --mount-proc bash "$0" "$@" ;;
esac
machines_group=${KFS_MACHINES#in }

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# As init of its process namespace this shell takes its children along.
trap 'rm -rf --one-file-system "$work/packages"; umount -l "$work" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
# An init gets no signals but those that it has a handler for.
trap 'exit 1' INT TERM HUP
mount -t tmpfs machines "$work"
ip link set lo up
ip link add switch type bridge
ip link set switch up

has_systemd() { [ -n "$machines_group" ]; }

# machine NAME ADDRESS: a machine that runs; packages of KFS, its configuration and its data are not there.
machine() {
  local name=$1 dir=$work/$1 root=$work/$1/root file
  mkdir -p "$dir"/{upper,work,root}
  mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$name" "$root" || return
  rm -rf --one-file-system "$root/etc/kfs" "$root/var/lib/kfs" "$root"/lib/systemd/system/kfs-* "$root"/{,usr/local/}sbin/mount{,.fuse}.kfs "$root"/mnt/kfs
  # Else each installation rebuilds the index of all manual pages.
  rm -f "$root/var/lib/man-db/auto-update"
  echo "$2" >"$dir/address"
  echo "$name" >"$root/etc/hostname"
  : >"$root/etc/fstab"
  : >"$root/.test-machine"
  if has_systemd; then
    prepare_systemd "$root"
  else
    install -m 755 "$repo/tests/deploy/systemctl.sh" "$root/usr/bin/systemctl"
  fi
  boot "$name"
}

# Nothing of what this machine's systemd starts is started there, but for what is listed.
prepare_systemd() {
  local root=$1 units=$1/etc/systemd/system wanted
  rm -rf --one-file-system "$units" "$root"/etc/rc?.d/* "$root/var/log/journal"
  mkdir -p "$units/multi-user.target.wants" "$root/var/log/journal"
  for wanted in "$root"/lib/systemd/system/{sysinit,basic,sockets,timers,multi-user}.target.wants/*; do
    case ${wanted##*/} in
      systemd-journal* | systemd-tmpfiles-setup.service | systemd-user-sessions.service | "*") ;;
      *) ln -s /dev/null "$units/${wanted##*/}" ;;
    esac
  done
  # Debian enables it.
  ln -s /lib/systemd/system/remote-fs.target "$units/multi-user.target.wants"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
}

# Directories of this machine that those booted from now on have as well.
shared_dirs=()
# boot NAME: a machine that does not run. Returns when it has come up.
boot() {
  local name=$1 dir=$work/$1 address pid
  address=$(<"$dir/address")
  [ -z "$machines_group" ] || mkdir -p "$machines_group/$name"
  # What is bound below /dev is this machine's; the directory is not, as systemd makes links and mounts there. The kernel's
  # settings, too, are left alone, but for those of the network, which is the machine's own.
  unshare --mount --net --uts --ipc --pid --fork --kill-child bash -c '
    root=$1 name=$2 address=$3 group=$4
    cd "$root" && hostname "$name" && mount --make-rprivate / && { [ -z "$group" ] || echo 0 >"$group/cgroup.procs"; } &&
    mount -t tmpfs -o mode=755 dev dev && mkdir dev/shm dev/pts && chmod 1777 dev/shm || exit
    [ ! -c /dev/autofs ] || { touch dev/autofs && mount --bind /dev/autofs dev/autofs; } || exit
    for device in null zero full random urandom tty fuse; do touch "dev/$device" && mount --bind "/dev/$device" "dev/$device" || exit; done
    ln -s /proc/self/fd dev/fd && ln -s fd/0 dev/stdin && ln -s fd/1 dev/stdout && ln -s fd/2 dev/stderr &&
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts && ln -s pts/ptmx dev/ptmx &&
    mount -t proc proc proc && mount --bind proc/sys proc/sys && mount --bind proc/sys/net proc/sys/net &&
    cat proc/sys/kernel/random/uuid >run/boot_id && mount --bind run/boot_id proc/sys/kernel/random/boot_id &&
    mount -o remount,bind,ro proc/sys && mount -t sysfs -o ro sysfs sys &&
    mount -t tmpfs -o mode=755 run run && mount -t tmpfs tmp tmp && chmod 1777 tmp || exit
    for shared in "${@:5}"; do mkdir -p ".$shared" && mount --bind "$shared" ".$shared" || exit; done
    # The cable is plugged in from outside.
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.01; done
    ip link set lo up && ip link set eth0 up && ip addr add "$address/24" dev eth0 || exit
    if [ -z "$group" ]; then
      mkdir -p run/systemd/system run/lock && pivot_root . mnt && umount -l /mnt && touch /run/is-up || exit
      while :; do sleep 1; done
    fi
    cd "$root" && exec unshare --cgroup bash -c "mount -t cgroup2 cgroup2 sys/fs/cgroup && pivot_root . mnt && umount -l /mnt &&
      exec env -i container=kfs-test /lib/systemd/systemd --system --unit=multi-user.target" machine
    ' machine "$dir/root" "$name" "$address" "${machines_group:+$machines_group/$name}" "${shared_dirs[@]}" </dev/null >"$dir/boot.log" 2>&1 &
  echo $! >"$dir/machine"
  wait_for 5000 child_of $! >"$dir/pid" && pid=$(<"$dir/pid") &&
    ip link add "to-$name" master switch type veth peer name eth0 netns "$pid" && ip link set "to-$name" up || { cat "$dir/boot.log"; return 1; }
  if ! wait_for 30000 is_up "$name"; then
    cat "$dir/boot.log"
    has_systemd && on "$name" journalctl -b -n 30 --no-pager
    return 1
  fi
}
is_up() {
  has_systemd || { on "$1" test -e /run/is-up; return; }
  # Degraded: a unit of this machine's that has failed there is nothing to KFS.
  [[ $(on "$1" timeout 30 systemctl is-system-running --wait 2>/dev/null) =~ ^(running|degraded)$ ]]
}
# power_off NAME [SECONDS]: cleanly; fails if it still runs after that time. What was on its disk stays.
power_off() {
  on "$1" systemctl poweroff --no-block
  wait_for $((${2:-60} * 1000)) has_ended_pid "$(<"$work/$1/machine")" || return
  # The network goes some time after the machine.
  wait_for 10000 is_unplugged "$1"
}
is_unplugged() { ! ip link show "to-$1" >/dev/null 2>&1; }
child_of() { local child _; read -r child _ <"/proc/$1/task/$1/children"; [ -n "$child" ] && echo "$child"; }
# on NAME COMMAND...: on that machine, as root after login. Fails where it does not run: the number of its init may be another
# process's by now, and one that is not in the machine's root yet is in this machine's.
on() {
  local pid
  pid=$(<"$work/$1/pid") || return
  shift
  # shellcheck disable=SC2016
  nsenter -t "$pid" --mount --net --uts --ipc --pid --root --wd sh -c '[ -e /.test-machine ] && exec "$@"' sh env -i -C / PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
}
# said NAME UNITS: what these units (a pattern) have logged on that machine.
said() {
  if has_systemd; then on "$1" journalctl --no-pager -o short-precise -u "$2"; else on "$1" sh -c "cat /var/log/$2.log"; fi
}
# make_packages [VERSION]: into $work/packages.
make_packages() {
  # In memory: a busy disk would take most of the time.
  TMPDIR=$work "$repo/deploy/packages" ${1+--version "$1"} "$build" "$work/packages"
}
