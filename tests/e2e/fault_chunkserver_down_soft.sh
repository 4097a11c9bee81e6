#!/bin/bash
# A chunkserver is down, soft mount: a clear errno in time, and all is well once it is back, without a remount.
. "$(dirname "$0")/lib.sh"
need_cluster
start_cluster --chunkservers 1
second_mount --option soft --option timeo=20
head -c 5000000 /dev/urandom >"$WORK/content"
cp "$WORK/content" "$MNT/file"
kill_role chunkserver 1
begin=$SECONDS
if timeout 40 cat "$MNT2/file" >/dev/null 2>"$WORK/error"; then fail "reading succeeded without a chunkserver"; fi
took=$((SECONDS - begin))
grep -Eq 'Connection timed out|Input/output error' "$WORK/error" || fail "not a clear error: $(<"$WORK/error")"
if [ $took -lt 1 ] || [ $took -gt 20 ]; then fail "the error came after $took s, timeo is 2 s"; fi
ls -l "$MNT2" >/dev/null
start_role chunkserver 1
readable() { cmp -s "$WORK/content" "$MNT2/file"; }
wait_until 30 readable || fail "the file cannot be read after the chunkserver is back"
cp "$WORK/content" "$MNT2/again"
cmp "$WORK/content" "$MNT/again"
pass
