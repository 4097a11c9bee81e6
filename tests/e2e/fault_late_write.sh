#!/bin/bash
# timeout: 200 long: 1200
# Writes that come late: of a program that was killed, of a mount that was stopped beyond its session's life, of a mount that
# was killed. Whoever has written since, or got the lock, never sees their bytes, whatever the network keeps and for how long.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
need python3
TTL=4
SIZE=65536
mkdir -p "$CLUSTER/run"
mkfifo "$WORK/proxy"
python3 "$REPO/tests/e2e/late_proxy.py" "$WORK/proxy" "$CLUSTER/run/chunkserver-1.address" >"$WORK/proxy.log" & proxy=$!
wait_until 20 lines_at_least "$WORK/proxy.log" 1 || fail "the proxy does not start"
start_cluster --chunkservers 1 --option session-ttl=$TTL --option "chunkserver.advertise=$(head -1 "$WORK/proxy.log")"
second_mount

proxy() {  # proxy COMMAND: prints how many bytes are held, and how many have been answered since they were let go
  local before
  before=$(wc -l <"$WORK/proxy.log")
  echo "$1" >"$WORK/proxy"
  wait_until 10 lines_at_least "$WORK/proxy.log" $((before + 1)) || fail "the proxy does not answer $1"
  tail -1 "$WORK/proxy.log" | cut -d' ' -f2-
}
held_at_least() { [ "$(proxy waiting | cut -d' ' -f1)" -ge "$1" ]; }
answered_more() { [ "$(proxy waiting | cut -d' ' -f2)" -gt "$1" ]; }
let_go() {  # returns when the chunkserver has dealt with what came late
  local before
  before=$(proxy release | cut -d' ' -f2)
  wait_until 10 answered_more "$before" || fail "the chunkserver does not answer what came late"
}

cat >"$WORK/put.py" <<'END'
import fcntl, os, sys
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o666)
if "lock" in sys.argv[4:]:
    fcntl.lockf(f, fcntl.LOCK_EX)
os.pwrite(f, sys.argv[2].encode() * int(sys.argv[3]), 0)
os.fsync(f)
END
put() { timeout 60 python3 "$WORK/put.py" "$1" "$2" "$SIZE" "${@:3}"; }   # put FILE LETTER [lock]

# Locks the file, says so, and writes when told.
cat >"$WORK/writer.py" <<'END'
import fcntl, os, sys
f = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(f, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.readline()
try:
    os.pwrite(f, sys.argv[2].encode() * int(sys.argv[3]), 0)
    print("written", flush=True)
except OSError as e:
    print(os.strerror(e.errno), flush=True)
sys.stdin.readline()
END
begin_writer() {  # begin_writer FILE: it has the lock; its pid is in $writer, what it says in $WORK/said
  mkfifo "$WORK/say"
  exec 8<>"$WORK/say"
  rm "$WORK/say"
  python3 "$WORK/writer.py" "$1" A $SIZE <&8 >"$WORK/said" & writer=$!
  wait_until 20 grep -q locked "$WORK/said" || fail "the lock is not granted"
}

cat >"$WORK/only.py" <<'END'
import sys
data, letter = open(sys.argv[1], "rb").read(), ord(sys.argv[2])
bad = sum(c != letter for c in data)
if bad or len(data) != int(sys.argv[3]):
    sys.exit("%d of %d bytes are not %s but %r" % (bad, len(data), sys.argv[2], data[:1]))
END
has_only() { python3 "$WORK/only.py" "$1" "$2" $SIZE || fail "$3: a late write has landed"; }   # has_only FILE LETTER WHOSE

load() {  # others at work meanwhile
  local i=0
  while [ ! -e "$WORK/stop-load" ]; do
    i=$((i + 1))
    head -c 200000 /dev/zero >"$MNT2/load-$((i % 8))" || return 0
  done
}
load & load=$!
rounds=2
! long || rounds=25

# A program is killed in its pwrite: it is gone at once, and its lock is given on, but not before its bytes cannot come any more.
for round in $(seq $rounds); do
  file=program-$round
  put "$MNT/$file" 0
  begin_writer "$MNT/$file"
  proxy "hold $(pid_of mount 1)" >/dev/null
  echo >&8
  wait_until 20 held_at_least $SIZE || fail "the write is not on its way"
  begin=$(date +%s%N)
  kill -9 $writer
  wait_until 10 dead $writer || fail "a killed writer does not die"
  took=$((($(date +%s%N) - begin) / 1000000))
  [ $took -lt 2000 ] || fail "a killed writer dies after $took ms"
  exec 8>&-
  put "$MNT2/$file" B lock || fail "the lock of a program that was killed in its pwrite is not given on"
  let_go
  has_only "$MNT2/$file" B "a program killed in its pwrite ($round)"
done

# A mount is stopped for about as long as its session, or its tickets, live.
seconds="$TTL.6"
! long || seconds="$(seq -s ' ' 3 0.2 6)"
for stop in $seconds; do
  file=stopped-$stop
  put "$MNT2/$file" 0
  begin_writer "$MNT/$file"
  kill_role mount 1 STOP
  echo >&8
  put "$MNT2/$file" B lock & other=$!
  sleep "$stop"   # the moment is what the test is about; all else waits for conditions
  kill_role mount 1 CONT
  wait_until 30 lines_at_least "$WORK/said" 2 || fail "the write of a mount that was stopped for $stop s hangs"
  echo >&8
  exec 8>&-
  wait $writer || :
  wait $other || fail "the lock of a mount that was stopped for $stop s is never given on"
  has_only "$MNT2/$file" B "a mount stopped for $stop s ($(tail -1 "$WORK/said"))"
done

# A mount is killed with a pwrite in the network.
for round in $(seq $rounds); do
  file=mount-$round
  put "$MNT2/$file" 0
  put "$MNT/$file" 1   # so that the layout is known, and nothing but the data is on its way
  proxy "hold $(pid_of mount 1)" >/dev/null
  put "$MNT/$file" A 2>/dev/null & writer=$!
  wait_until 20 held_at_least $SIZE || fail "the write is not on its way"
  kill_role mount 1
  wait $writer || :
  put "$MNT2/$file" B || fail "the other mount's write failed"
  let_go
  has_only "$MNT2/$file" B "a mount killed in a pwrite ($round)"
  umount -l "$MNT"
  start_role mount 1
done
touch "$WORK/stop-load"
wait $load
kill $proxy
pass
