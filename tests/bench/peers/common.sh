# shellcheck shell=bash
# Sourced by every script here; not run by itself. A script starts one file system for tests/bench/compare, without systemd:
#   NAME.sh up        starts it and prints its mount point; exit 77 with the reason if it is not installed
#   NAME.sh remount   forgets every client cache
#   NAME.sh down      unmounts, stops its processes, removes its data
#   NAME.sh version   one line for the report: version and what it promises about durability
# All data, logs and pid files are below $PEERS_DIR/NAME.
set -u
PEER=$(basename "$0" .sh)
BASE=${PEERS_DIR:?is not set}/$PEER
MNT=$BASE/mnt
RUN=$BASE/run
ulimit -n "$(ulimit -Hn)" 2>/dev/null

say() { echo "$PEER: $*" >&2; }
die() { say "$*"; exit 1; }
need() {  # need COMMAND PACKAGE
  command -v "$1" >/dev/null 2>&1 || { say "$1 is not installed (package $2)"; exit 77; }
}
wait_for() {  # wait_for SECONDS COMMAND...: polls until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
background() {  # background NAME COMMAND...: remembers the pid
  local name=$1
  shift
  setsid "$@" >"$BASE/$name.log" 2>&1 </dev/null &
  echo $! >"$RUN/$name.pid"
}
gone() { ! kill -0 "$1" 2>/dev/null; }
stop_pids() {  # those recorded in $RUN, and no other
  local file pid
  for file in "$RUN"/*.pid; do
    [ -s "$file" ] || continue
    pid=$(tr -cd 0-9 <"$file")
    [ -n "$pid" ] && kill "$pid" 2>/dev/null || continue
    wait_for 10 gone "$pid" || kill -9 "$pid" 2>/dev/null
  done
}

# Daemons that take no 127/8 address, or listen on fixed ports, run in a network namespace of their own, whose loopback
# carries a private address. Mounts stay visible outside.
IP=10.213.0.1
NAMESPACE=kfs-bench-$PEER-$(basename "$PEERS_DIR")
inside() { nsenter --net="/run/netns/$NAMESPACE" "$@"; }
make_namespace() {
  need ip iproute2
  [ -e "/run/netns/$NAMESPACE" ] || { ip netns add "$NAMESPACE" && inside ip link set lo up && inside ip address add $IP/32 dev lo; }
}
drop_namespace() { [ ! -e "/run/netns/$NAMESPACE" ] || ip netns delete "$NAMESPACE"; }

mounted() { grep -q " $MNT " /proc/self/mounts; }
usable() { mounted && timeout 5 stat "$MNT"; }
unmount() {
  local pid
  mounted || return 0
  wait_for 10 umount "$MNT" || umount -l "$MNT"
  # A client may go on flushing after umount has returned.
  pid=$(cat "$RUN/client.pid" 2>/dev/null | tr -cd 0-9)
  [ -z "$pid" ] || wait_for 30 gone "$pid"
}
main() {
  case ${1:-} in
    up)
      mkdir -p "$RUN" "$MNT"
      peer_up || die "did not start; see $BASE"
      wait_for 30 usable || die "the mount does not answer; see $BASE"
      echo "$MNT"
      ;;
    remount) unmount; peer_mount && wait_for 30 usable || die "remount failed" ;;
    down) unmount; peer_down; stop_pids; drop_namespace; rm -rf --one-file-system "$BASE" ;;
    version) peer_version ;;
    *) echo "usage: $0 up|remount|down|version" >&2; exit 2 ;;
  esac
}
