#!/bin/bash
# An open, unlinked file survives kill -9 of the metaserver, can be read and written on, and is collected after close.
. "$(dirname "$0")/lib.sh"
need_cluster
start_cluster --chunkservers 2
empty=$(chunk_bytes)
head -c 30000000 /dev/urandom >"$WORK/content"
cp "$WORK/content" "$MNT/file"
exec 7<"$MNT/file" 8>>"$MNT/file"
rm "$MNT/file"
kill_role metaserver 1
start_role metaserver 1
echo 'and more' >&8
cmp <(cat "$WORK/content"; echo 'and more') - <&7 || fail "the open file changed through the restart"
[ ! -e "$MNT/file" ]
exec 7<&- 8>&-
wait_until 60 chunk_bytes_below $((empty + 10000000)) || fail "the file still takes space after close: $(chunk_bytes) bytes, $empty before"
pass
