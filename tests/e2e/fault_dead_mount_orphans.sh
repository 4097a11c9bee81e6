#!/bin/bash
# A file that only a dead mount had open, unlinked, is collected after the session's time to live: its space comes back.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
start_cluster --chunkservers 2 --option session-ttl=5
second_mount
empty=$(chunk_bytes)
exec 7<>"$MNT/orphan"
head -c 40000000 /dev/urandom >&7
sync "$MNT/orphan"
[ "$(chunk_bytes)" -gt $((empty + 30000000)) ] || fail "the data is not on the chunkservers"
rm "$MNT/orphan"
kill_role mount 1
exec 7>&- || :
umount -l "$MNT"
wait_until 60 chunk_bytes_below $((empty + 10000000)) || fail "the orphan still takes space: $(chunk_bytes) bytes, $empty before"
[ -z "$(ls -A "$MNT2")" ]
pass
