#!/bin/bash
# A chunkserver is down, hard mount: reading waits, can be killed, and goes on when the server is back.
. "$(dirname "$0")/lib.sh"
need_cluster
start_cluster --chunkservers 1
second_mount    # has read nothing yet: cannot answer from memory
head -c 5000000 /dev/urandom >"$WORK/content"
cp "$WORK/content" "$MNT/file"
kill_role chunkserver 1
cat "$MNT2/file" >/dev/null & doomed=$!
cat "$MNT2/file" >"$WORK/read" & patient=$!
if wait_until 3 dead $doomed; then fail "reading ended without a chunkserver"; fi
kill -9 $doomed
wait_until 2 dead $doomed || fail "the waiting reader does not die of kill -9 within 2 s"
dead $patient && fail "killing one reader ended the other"
start_role chunkserver 1
wait_until 60 dead $patient || fail "the reader did not go on within 60 s"
wait $patient || fail "the reader ended with an error"
cmp "$WORK/content" "$WORK/read"
pass
