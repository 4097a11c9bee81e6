# shellcheck shell=bash
# Machines for tests: each has a root of its own (an overlay of this machine's /, kept in memory), a network with one address
# on a common bridge, a host name and its own processes and mounts. Nothing of this machine is changed and nothing is left:
# all of it lives in namespaces that end with the test. To be sourced first of all.
#
# What stands in for the real thing: /usr/bin/systemctl (systemctl.sh here) starts the ExecStart of the units that are
# installed; nothing of a unit's sandbox is tried.

skip_test() { echo "SKIP: $1"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
if [ -z "${KFS_MACHINES:-}" ]; then
  [ "$(id -u)" = 0 ] || skip_test "needs root"
  for tool in unshare nsenter ip pivot_root; do command -v $tool >/dev/null || skip_test "needs $tool"; done
  reason=$(unshare --mount --net --uts --pid --fork --kill-child bash -c '
    mount -t tmpfs machines /mnt && mkdir /mnt/{upper,work,root} && ip link add switch type bridge &&
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work machine /mnt/root' 2>&1) ||
    skip_test "no namespaces, bridges or overlays of / can be made here: $(head -1 <<<"$reason")"
  KFS_MACHINES=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" "$@"
fi

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# As init of its process namespace this shell takes its children along.
trap 'rm -rf --one-file-system "$work/packages"; umount -l "$work" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
mount -t tmpfs machines "$work"
ip link set lo up
ip link add switch type bridge
ip link set switch up

# machine NAME ADDRESS: a machine that runs; packages of KFS, its configuration and its data are not there.
machine() {
  local name=$1 address=$2 dir=$work/$1 root=$work/$1/root pid
  mkdir -p "$dir"/{upper,work,root}
  mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$name" "$root" || return
  rm -rf --one-file-system "$root/etc/kfs" "$root/var/lib/kfs" "$root"/lib/systemd/system/kfs-* "$root"/{,usr/local/}sbin/mount{,.fuse}.kfs "$root"/mnt/kfs
  # Else each installation rebuilds the index of all manual pages.
  rm -f "$root/var/lib/man-db/auto-update"
  install -m 755 "$repo/tests/deploy/systemctl.sh" "$root/usr/bin/systemctl"
  unshare --mount --net --uts --pid --fork --kill-child bash -c '
    cd "$1" && hostname "$2" && mount --make-rprivate / && mount --rbind /dev dev && mount -t proc proc proc &&
    mount -t tmpfs run run && mount -t tmpfs tmp tmp && mkdir -p run/systemd/system run/lock && chmod 1777 tmp &&
    pivot_root . mnt && umount -l /mnt && touch /run/is-up
    while :; do sleep 1; done' machine "$root" "$name" </dev/null >"$dir/boot.log" 2>&1 &
  wait_for 5000 child_of $! >"$dir/pid" && pid=$(cat "$dir/pid")
  wait_for 5000 on "$name" test -e /run/is-up || { cat "$dir/boot.log"; return 1; }
  ip link add "to-$name" master switch type veth peer name eth0 netns "$pid" && ip link set "to-$name" up
  # shellcheck disable=SC2016
  on "$name" sh -c 'ip addr add "$1/24" dev eth0 && ip link set lo up && ip link set eth0 up' sh "$address"
}
child_of() { local child _; read -r child _ <"/proc/$1/task/$1/children"; [ -n "$child" ] && echo "$child"; }
# on NAME COMMAND...: on that machine, as root after login.
on() {
  local pid
  pid=$(cat "$work/$1/pid") || return
  shift
  nsenter -t "$pid" --mount --net --uts --pid --root env -i -C / PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
}
# make_packages [VERSION]: into $work/packages.
make_packages() {
  # In memory: a busy disk would take most of the time.
  TMPDIR=$work "$repo/deploy/packages" ${1+--version "$1"} "$build" "$work/packages"
}
