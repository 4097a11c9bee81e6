#!/bin/bash
# SIGSTOP of a chunkserver while files are written and read, SIGCONT: all goes on, nothing is wrong.
. "$(dirname "$0")/lib.sh"
need_cluster
start_cluster --chunkservers 1
make_tree "$WORK/tree" 300
head -c 20000000 /dev/urandom >"$WORK/large"
cp -a "$WORK/tree" "$MNT/one"
log=$WORK/progress
: >"$log"
cp -av "$WORK/tree" "$MNT/two" >"$log" & copier=$!
wait_until 30 lines_at_least "$log" 100
kill_role chunkserver 1 STOP
(cp "$WORK/large" "$MNT/large") & large=$!
if wait_until 3 dead $large; then fail "writing ended while the only chunkserver was stopped"; fi
ls -lR "$MNT" >/dev/null     # names need no chunkserver
kill_role chunkserver 1 CONT
wait $copier || fail "cp -a ended with an error"
wait $large || fail "cp ended with an error"
cmp "$WORK/large" "$MNT/large"
same_tree "$WORK/tree" "$MNT/two"
pass
