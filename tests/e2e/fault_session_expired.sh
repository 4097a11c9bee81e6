#!/bin/bash
# A mount that is stopped for longer than its session lives loses locks and open files, and only those: its stale handles fail
# for good, whatever others open meanwhile; new ones work; what it had under way happens once.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
need python3 flock
start_cluster --chunkservers 1 --option session-ttl=3
second_mount
cat >"$WORK/holder.py" <<'P'
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
fcntl.lockf(fd, fcntl.LOCK_EX)
os.pwrite(fd, b"first", 0)
print("locked", flush=True)
for line in sys.stdin:
    try:
        os.pwrite(fd, b"stale", 0)
        print("written", flush=True)
    except OSError as e:
        print(os.strerror(e.errno), flush=True)
P
mkfifo "$WORK/say"
exec 7<>"$WORK/say"
python3 "$WORK/holder.py" "$MNT/file" <"$WORK/say" >"$WORK/said" & holder=$!
wait_until 10 grep -q locked "$WORK/said"
kill_role mount 1 STOP
mkdir "$MNT/made-meanwhile" & maker=$!
freed() { python3 -c 'import fcntl,sys; fcntl.lockf(open(sys.argv[1],"r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)' "$MNT2/file" 2>/dev/null; }
wait_until 30 freed || fail "the lock of a mount that is not heard of is still held after 30 s"
printf second >"$MNT2/file"
kill_role mount 1 CONT
wait $maker || fail "a mkdir that was under way failed"
[ -d "$MNT2/made-meanwhile" ]
[ "$(timeout 20 cat "$MNT/file")" = second ] || fail "a new handle in the mount that came back does not work"
stale_fails() {
  local before
  before=$(wc -l <"$WORK/said")
  echo >&7
  wait_until 20 lines_at_least "$WORK/said" $((before + 1)) || fail "the write through the stale handle hangs"
  tail -1 "$WORK/said" | grep -q 'Input/output error' || fail "a handle that lost its lock answers: $(tail -1 "$WORK/said")"
}
stale_fails
[ "$(cat "$MNT/file")" = second ]
stale_fails   # a reader has come and gone
[ "$(cat "$MNT2/file")" = second ]
kill -9 $holder
flock -n "$MNT/file" true || fail "locks do not work in the mount that came back"
pass
