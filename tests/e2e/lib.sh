# shellcheck shell=bash
# Shared by every test in this directory; sourced, not run.
#
# A test calls start_cluster, works in $MNT and ends with pass. Any command that fails ends it as failed, with the line.
# Exit status: 0 passed, 1 failed, 77 skipped.
#
#   KFS_BUILD    build directory (default build/release of this repository)
#   KFS_LONG=1   the long version
#   KFS_E2E_DIR  a local directory to work in instead of a cluster: checks the test itself; fault tests skip
#   KFS_SEED     seed for random moments and data (default: from the clock, printed)

set -Eeuo pipefail
export LC_ALL=C
# The distribution's programs: a python3 that is a script choosing among several costs more than what it runs.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KFS_BUILD=${KFS_BUILD:-$REPO/build/release}
DEVCLUSTER=${KFS_DEVCLUSTER:-$REPO/deploy/devcluster}
LONG=${KFS_LONG:-0}
TEST=$(basename "$0" .sh)
SEED=${KFS_SEED:-$(($(date +%s) % 30000))}
RANDOM=$SEED
WORK=$(mktemp -d "${TMPDIR:-/tmp}/kfs-e2e.XXXXXX")
naps=$WORK
# shellcheck source=../../deploy/lib/process.sh
. "$REPO/deploy/lib/process.sh"
CLUSTER=$WORK/cluster   # DIR of devcluster
MNT=
MNT2=
CLUSTER_UP=0

say() { echo "$TEST: $*"; }
# A mount that says it has lost changes, though no power was cut (POWER_CUT), is a failure of any test.
pass() {
  [ -z "${WORK:-}" ] || no_stalls || fail "a daemon or mount has stalled"
  if [ -z "${POWER_CUT:-}" ] && [ -n "${WORK:-}" ]; then
    ! grep -rsF session.changes_lost --include='*.log' "$WORK" || fail "a mount says that it has lost changes"
  fi
  exit 0
}
# Nothing keeps a loop for 50 ms (rpc/stall.h; time without a processor does not count), whatever a test does. What may is the sync of
# a log that is full (log_switch: docs/metadata-format.md says why, and for how long). A test whose disks or processes stand still on
# purpose says so: may_stall WHY.
# Where the machine is busy a fifth of the time (busy), with other tests, one that waited counts from a quarter of a second on: whoever
# held the lock, or fed the disk, had no processor, or the disk was theirs.
# A virtual machine may be stopped as a whole, and its kernel counts that as a processor's time: two processes that stood still at the
# same moment were, and a single one below 100 ms may have been, where nobody else had anything to do. What a loop does to itself is
# longer, or there again.
may_stall() { MAY_STALL=$1; }
no_stalls() {
  [ -z "${MAY_STALL:-}" ] && ! grep -qs '^KFS_SANITIZE:[A-Z]*=.' "$KFS_BUILD/CMakeCache.txt" || return 0
  { grep -rsh --include='*.log' ' loop\.stalled ' "$WORK" || :; } | sort | awk '{
    for (i = 1; i <= NF; i++) if (split($i, pair, "=") == 2) of[pair[1]] = pair[2]
    if (of["longest"] == "log_switch" || (of["busy"] >= 20 && of["cpu_ms"] < 50 && of["ms"] < 250)) next
    split(substr($1, 12), t, ":")
    n++
    line[n] = $0; who[n] = $3; ms[n] = of["ms"]
    end[n] = (t[1] * 60 + t[2]) * 60000 + substr(t[3], 1, 9) * 1000
    begin[n] = end[n] - of["ms"]
  } END {
    for (i = 1; i <= n; i++) for (j = 1; j <= n; j++)
      if (who[i] != who[j] && (end[i] < end[j] ? end[i] : end[j]) - (begin[i] > begin[j] ? begin[i] : begin[j]) > 40) machine[i] = 1
    for (i = 1; i <= n; i++) if (!(i in machine)) { left++; if (ms[i] >= 100) long = 1 }
    if (left > 1 || long) { for (i = 1; i <= n; i++) print line[i]; exit 1 }
  }'
}
skip() { say "SKIP: $*"; exit 77; }
fail() {
  trap - ERR
  say "FAIL: $* (seed $SEED)" >&2
  exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

need() {  # need COMMAND...
  local command
  for command in "$@"; do command -v "$command" >/dev/null || skip "$command is not installed"; done
}
need_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }
need_cluster() { [ -z "${KFS_E2E_DIR:-}" ] || skip "needs a cluster, KFS_E2E_DIR is set"; }
long() { [ "$LONG" = 1 ]; }

built() {  # built PROGRAM: prints where the build put it
  local path=$KFS_BUILD/bin/$1
  [ -x "$path" ] || path=$(find "$KFS_BUILD" -name "$1" -type f -perm /111 -print -quit 2>/dev/null) || :
  [ -n "$path" ] || fail "$1 is not in $KFS_BUILD: build it first"
  echo "$path"
}

wait_until() {  # wait_until SECONDS COMMAND...: polls until the command succeeds; fails after SECONDS
  local end=$((SECONDS + $1)) pauses=(0.05 0.05 0.1 0.1 0.2 0.2) n=0
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    # Rarely after a while: a condition that asks a cluster costs as much as the work of many.
    nap "${pauses[n++]:-0.3}"
  done
}
dead() {
  local stat=") Z"
  kill -0 "$1" 2>/dev/null || return 0
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  read -ra stat <<<"${stat##*) }"
  # A process whose first thread has ended is a zombie, too, while others hold its files still.
  [ "${stat[0]}" = Z ] && [ "${stat[17]:-0}" -le 1 ]
}
lines_at_least() { [ "$(wc -l <"$1")" -ge "$2" ]; }
# For commands that must not succeed. (A bare "! command", or a false one before "&&", does not end a test.)
must_fail() { ! "$@" 2>/dev/null || fail "should have failed: $*"; }

# ---- cluster

start_cluster() {  # start_cluster [devcluster up's arguments]
  if [ -n "${KFS_E2E_DIR:-}" ]; then
    MNT=$(mktemp -d "$KFS_E2E_DIR/e2e.XXXXXX")
    chmod 755 "$MNT"
    return
  fi
  [ -x "$DEVCLUSTER" ] || fail "$DEVCLUSTER is missing"
  MNT=$WORK/mnt
  mkdir -p "$MNT" "$CLUSTER"
  chmod 755 "$WORK"
  CLUSTER_UP=1
  timeout 120 "$DEVCLUSTER" up --dir "$CLUSTER" --build "$KFS_BUILD" --mount "$MNT" "$@" </dev/null || fail "devcluster up failed"
}
second_mount() {  # second_mount [--option k=v]...: the same volume at $MNT2
  MNT2=$MNT
  [ -z "${KFS_E2E_DIR:-}" ] || return 0
  MNT2=$WORK/mnt2
  mkdir -p "$MNT2"
  timeout 60 "$DEVCLUSTER" mount --dir "$CLUSTER" "$MNT2" "$@" </dev/null || fail "devcluster mount failed"
}
pid_of() { local text; text=$(<"$CLUSTER/run/$1-$2.pid") && echo "$text"; }   # pid_of ROLE N
kill_role() {  # kill_role ROLE N [SIGNAL]; returns when the process is gone if the signal ends it
  local pid
  pid=$(pid_of "$1" "$2")
  [ "${3:-KILL}" != STOP ] || may_stall "a process is stopped, perhaps in the middle of a tick"
  "$DEVCLUSTER" kill --dir "$CLUSTER" "$@"
  case ${3:-KILL} in STOP | CONT) ;; *) wait_until 30 dead "$pid" || fail "$1 $2 (pid $pid) lives after ${3:-KILL}" ;; esac
}
start_role() { timeout 120 "$DEVCLUSTER" start --dir "$CLUSTER" "$1" "$2" </dev/null || fail "devcluster start $1 $2 failed"; }
mounted() { grep -q " $1 " /proc/self/mounts; }
# What was deleted, and is kept for a while, does not count.
chunk_bytes() { { du -sk "$CLUSTER"/chunkserver-*/v* 2>/dev/null || :; } | awk '{sum += $1 * 1024} END {print sum + 0}'; }
chunk_bytes_below() { [ "$(chunk_bytes)" -lt "$1" ]; }

on_exit() { :; }   # a test may replace it: runs before the mount goes away
cleanup() {
  local status=$? pid mount
  trap - EXIT ERR
  set +e
  on_exit
  for pid in $(jobs -p); do kill -9 "$pid" 2>/dev/null; done
  cd /
  if [ -n "${KFS_E2E_DIR:-}" ]; then
    [ -n "$MNT" ] && rm -rf --one-file-system "$MNT"
  elif [ "$CLUSTER_UP" = 1 ]; then
    if [ $status = 1 ]; then tail -n 25 "$CLUSTER"/log/*.log >&2; fi
    for pid in "$CLUSTER"/run/*.pid; do [ -s "$pid" ] && kill -CONT "$(cat "$pid")" 2>/dev/null; done
    if ! timeout 60 "$DEVCLUSTER" down --dir "$CLUSTER" </dev/null; then
      say "devcluster down failed" >&2
      [ $status = 0 ] && status=1
      for pid in "$CLUSTER"/run/*.pid; do pid=$(live_pid_of "${pid%.pid}") && kill -9 "$pid"; done
    fi
  fi
  for mount in $(awk -v work="$WORK/" 'index($2, work) == 1 {print $2}' /proc/self/mounts | sort -r); do umount -l "$mount"; done
  rm -rf --one-file-system "$WORK"
  exit $status
}
trap cleanup EXIT

# ---- material

# shellcheck source=material.sh
. "$(dirname "${BASH_SOURCE[0]}")/material.sh"

# same_tree A B: contents, kinds, modes, sizes, link counts and times are equal, and no name is listed twice.
same_tree() {
  # diff calls any two FIFOs different
  diff -r --no-dereference "$1" "$2" | grep -v ' is a fifo while file .* is a fifo$' >"$WORK/diff" || :
  [ ! -s "$WORK/diff" ] || { head -20 "$WORK/diff"; fail "$1 and $2 differ"; }
  describe_tree "$1" >"$WORK/describe-a"
  describe_tree "$2" >"$WORK/describe-b"
  cmp -s "$WORK/describe-a" "$WORK/describe-b" ||
    { diff -a <(tr '\0' '\n' <"$WORK/describe-a") <(tr '\0' '\n' <"$WORK/describe-b") | head -20 || :; fail "attributes in $1 and $2 differ"; }
  no_doubles "$2"
}
describe_tree() {
  (cd "$1" && find . -mindepth 1 \( -type d -printf '%p d %m %U:%G\0' -o -printf '%p %y %m %U:%G %s %n %T@ %l\0' \) | sort -z)
}
no_doubles() {
  find "$1" -print0 | sort -z | uniq -dz | tr '\0' '\n' >"$WORK/doubles"
  [ ! -s "$WORK/doubles" ] || { head "$WORK/doubles"; fail "names listed twice in $1"; }
}
