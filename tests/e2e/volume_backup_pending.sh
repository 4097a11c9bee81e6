#!/bin/bash
# timeout: 90 long: 90
# A backup that is made while changes of chunks wait for a chunkserver: once it is restored, and the chunkserver is back, all files
# can be read, and are as they were when the backup was made.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need_cluster
start_cluster --chunkservers 1

for f in holes short kept; do head -c 200000 /dev/urandom >"$MNT/$f"; done
sync "$MNT/holes" "$MNT/short" "$MNT/kept"
cp "$MNT"/{holes,short,kept} "$WORK"
kill_role chunkserver 1
timeout 3 fallocate -p -o 8192 -l 65536 "$MNT/holes" && fail "a hole is there before its chunkserver is"
truncate -s 100 "$MNT/short"
truncate -s 200000 "$MNT/short"
for f in holes short; do
  case $f in holes) offset=8192 length=65536 ;; short) offset=100 length=199900 ;; esac
  dd if=/dev/zero of="$WORK/$f" bs=1M oflag=seek_bytes seek=$offset iflag=count_bytes count=$length conv=notrunc status=none
done
kfs_at 1 volume backup dev "$WORK/backup.tar" >/dev/null
unmount "$MNT"
kfs_at 1 volume stop dev --yes >/dev/null
kfs_at 1 volume restore dev "$WORK/backup.tar" --yes >/dev/null
kfs_at 1 volume start dev >/dev/null
start_role chunkserver 1
second_mount
for f in holes short kept; do timeout 20 cmp "$WORK/$f" "$MNT2/$f" || fail "$f is not what it was when the backup was made"; done
echo more >>"$MNT2/short"
[ "$(tail -c 5 "$MNT2/short")" = more ] || fail "what was restored cannot be written to"

# And once more, when what waited has been done since, and the files have gone on.
head -c 1000 /dev/zero | dd of="$MNT2/holes" conv=notrunc status=none
truncate -s 300000 "$MNT2/short"
sync "$MNT2/short" "$MNT2/holes"
unmount "$MNT2"
kfs_at 1 volume stop dev --yes >/dev/null
kfs_at 1 volume restore dev "$WORK/backup.tar" --yes >/dev/null
kfs_at 1 volume start dev >/dev/null
second_mount
timeout 20 cmp "$WORK/kept" "$MNT2/kept" || fail "kept is not what it was after a second restore"
for f in holes short; do timeout 20 md5sum "$MNT2/$f" >/dev/null || fail "$f cannot be read after a second restore"; done
[ "$(stat -c %s "$MNT2/short")" = 200000 ] || fail "the restored size is another one"
