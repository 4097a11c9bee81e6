#!/bin/bash
# The locks of a mount that died are released when its session's time to live is over, not before the session is dead.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
need flock python3
start_cluster --chunkservers 1 --option session-ttl=5
second_mount
touch "$MNT/flock" "$MNT/fcntl"
cat >"$WORK/lock.py" <<'P'
import fcntl, signal, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[2] == "try" else 0))
print("locked", flush=True)
if sys.argv[2] == "hold": signal.pause()
P
(exec 9<>"$MNT/flock"; flock 9; touch "$WORK/holding"; exec tail -f /dev/null) & holder=$!
python3 "$WORK/lock.py" "$MNT/fcntl" hold >"$WORK/held" & holder2=$!
wait_until 10 test -e "$WORK/holding"
wait_until 10 test -s "$WORK/held"
must_fail flock -n "$MNT2/flock" true
must_fail python3 "$WORK/lock.py" "$MNT2/fcntl" try
kill_role mount 1
timeout 30 flock "$MNT2/flock" true || fail "the flock of the dead mount is still held after 30 s"
timeout 30 python3 "$WORK/lock.py" "$MNT2/fcntl" wait >/dev/null || fail "the fcntl lock of the dead mount is still held after 30 s"
kill -9 $holder $holder2 2>/dev/null || :
umount -l "$MNT"
pass
