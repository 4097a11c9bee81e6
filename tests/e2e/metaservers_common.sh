# shellcheck shell=bash
# For tests of several metaservers: each asked on its own, mounts through any of them, writers that note their pauses.
# Sourced after lib.sh.
need_cluster
need jq python3

KFS=$(built kfs)
address_of() { local text; text=$(<"$CLUSTER/run/metaserver-$1.address") && echo "$text"; }
# kfs_at N COMMAND...: kfs, asking metaserver N and no other.
kfs_at() {
  local n=$1
  shift
  "$KFS" "$@" --metaserver "$(address_of "$n")" --secret-file "$CLUSTER/secret"
}
# refused WORDS N COMMAND...: the command fails, and says WORDS (an extended regular expression).
refused() {
  local words=$1
  shift
  ! kfs_at "$@" >"$WORK/refused" 2>&1 || { cat "$WORK/refused"; fail "should have been refused: kfs_at $*"; }
  grep -qE "$words" "$WORK/refused" || { cat "$WORK/refused"; fail "'kfs_at $*' does not say '$words'"; }
}
# says WORDS N COMMAND...: the command succeeds, and says WORDS.
says() {
  local words=$1
  shift
  kfs_at "$@" >"$WORK/said-by-kfs" 2>&1 || { cat "$WORK/said-by-kfs"; fail "failed: kfs_at $*"; }
  grep -qE "$words" "$WORK/said-by-kfs"
}

# "generation checksum" of the configuration that metaserver N has.
standing() { kfs_at "$1" peer status --json 2>/dev/null | jq -r '.self | "\(.generation) \(.checksum)"'; }
agree() {  # agree N...: they have the same configuration, and are friends
  local n all
  all=$(for n; do standing "$n" || echo "$n does not answer"; done | sort -u)
  [ "$(wc -l <<<"$all")" = 1 ] && friends "$@"
}
friends() {  # friends N...: each is connected with all the others
  local n
  for n; do [ "$(kfs_at "$n" peer status --json | jq '[.peers[] | select(.state == "Peer in Cluster" and .connected)] | length')" -ge $(($# - 1)) ] || return 1; done
}
await_agreement() {  # await_agreement SECONDS N...
  local n seconds=$1
  shift
  wait_until "$seconds" agree "$@" && return 0
  for n; do echo "metaserver $n: $(standing "$n")"; kfs_at "$n" peer status; done
  fail "metaservers $* do not agree after $seconds s"
}
# The same while changes go on, so that no two that are asked one after the other say the same: each has come to what the furthest had
# at the beginning, and they are friends.
generation_of() { standing "$1" | cut -d' ' -f1; }
came_to() {  # came_to GENERATION N...
  local n goal=$1
  shift
  for n; do [ "$(generation_of "$n")" -ge "$goal" ] 2>/dev/null || return 1; done
  friends "$@"
}
await_catching_up() {  # await_catching_up SECONDS N...
  local n goal seconds=$1
  shift
  goal=$(for n; do generation_of "$n"; done | sort -n | tail -1)
  wait_until "$seconds" came_to "$goal" "$@" && return 0
  for n; do echo "metaserver $n: $(standing "$n")"; kfs_at "$n" peer status; done
  fail "metaservers $* do not come to generation $goal in $seconds s"
}

usable() { timeout -k 1 5 stat -f "$1" >/dev/null 2>&1; }
# mount_through N VOLUME DIRECTORY [OPTIONS]: its process is in $MOUNTED.
mount_through() {
  mkdir -p "$3"
  "$KFS" mount -f "$(address_of "$1"):/$2" "$3" -o "secretfile=$CLUSTER/secret${4:+,$4}" >>"$CLUSTER/log/$(basename "$3").log" 2>&1 7>&- &
  MOUNTED=$!
  wait_until 20 mounted "$3" && wait_until 20 usable "$3" || fail "volume $2 cannot be mounted through metaserver $1"
}
unmount() { wait_until 10 umount "$1" 2>/dev/null || fail "$1 cannot be unmounted"; }
on_exit() {
  local directory
  for directory in $(awk -v work="$WORK/" 'index($2, work) == 1 {print $2}' /proc/self/mounts); do
    [ "$directory" = "$MNT" ] || umount "$directory" 2>/dev/null || umount -l "$directory"
  done
}

# answers DIRECTORY: what becomes of a small write there, "ok" or the errno's name. Returns within 10 s.
answers() {
  timeout 10 python3 - "$1" <<'P'
import errno, os, sys
try:
    fd = os.open(sys.argv[1] + "/probe", os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, b"probe", 0)
    os.fsync(fd)
    os.close(fd)
    print("ok")
except OSError as e:
    print(errno.errorcode[e.errno])
P
}
answers_with() { [ "$(answers "$1")" = "$2" ]; }

# start_writer NAME DIRECTORY: makes files there, one after the other, until stop_writer NAME; no call may fail.
start_writer() {
  python3 - "$2" "$WORK/writer-$1" <<'P' 2>"$WORK/writer-$1.err" &
import os, signal, sys, time
directory, report = sys.argv[1:]
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
done, longest = 0, 0.0
while going:
    time.sleep(0.01)  # some hundred files tell as much as thousands
    began = time.monotonic()
    name = f"{directory}/w{done:06}"
    with open(name + ".new", "x") as f:
        f.write(f"{done}\n" * 100)
        f.flush()
        os.fsync(f.fileno())
    os.rename(name + ".new", name)
    done += 1
    longest = max(longest, time.monotonic() - began)
    with open(report + ".tmp", "w") as f:
        f.write(f"{done} {longest:.3f}\n")
    os.rename(report + ".tmp", report)
P
  echo $! >"$WORK/writer-$1.pid"
  wait_until 10 test -s "$WORK/writer-$1" || fail "the writer $1 does not begin"
}
written_by() { cut -d' ' -f1 "$WORK/writer-$1"; }
longest_pause() { cut -d' ' -f2 "$WORK/writer-$1"; }
goes_on() { [ "$(written_by "$1")" -gt "$2" ]; }   # goes_on NAME COUNT
await_progress() {  # await_progress NAME SECONDS: five more files
  wait_until "$2" goes_on "$1" $(($(written_by "$1") + 5)) || fail "the writer $1 does not go on within $2 s"
}
# stop_writer NAME DIRECTORY: what it made is there as it was made, once.
stop_writer() {
  kill "$(<"$WORK/writer-$1.pid")" 2>/dev/null || { cat "$WORK/writer-$1.err"; fail "the writer $1 has ended before it was told to"; }
  wait "$(<"$WORK/writer-$1.pid")" || { cat "$WORK/writer-$1.err"; fail "the writer $1 failed"; }
  python3 - "$2" "$(written_by "$1")" <<'P' || fail "what the writer $1 made is not there"
import os, sys
directory, count = sys.argv[1], int(sys.argv[2])
names = sorted(n for n in os.listdir(directory) if n.startswith("w"))
wanted = [f"w{i:06}" for i in range(count)]
if names != wanted:
    sys.exit(f"{len(names)} names, {count} were made; {sorted(set(wanted) ^ set(names))[:5]}")
for i, name in enumerate(wanted):
    with open(f"{directory}/{name}") as f:
        if f.read() != f"{i}\n" * 100:
            sys.exit(f"{name} has other content")
P
  say "writer $1: $(written_by "$1") files, longest pause $(longest_pause "$1") s"
}
below() { awk -v a="$1" -v b="$2" 'BEGIN {exit !(a < b)}'; }   # below A B: A < B
