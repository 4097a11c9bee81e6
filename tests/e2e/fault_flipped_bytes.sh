#!/bin/bash
# A byte of a chunk file is flipped, with the server stopped or running: the reader gets EIO, never the wrong data (P5).
. "$(dirname "$0")/lib.sh"
need_cluster
need python3
start_cluster --chunkservers 1
second_mount     # has read nothing: the bytes come from the chunkserver
largest() { find "$CLUSTER/chunkserver-1/" -type f -size +4M -newer "$WORK/mark" -printf '%s %p\n' | sort -rn | head -1 | cut -d' ' -f2-; }
flip() {  # flip FILE: one bit in the middle of a block, past any header
  python3 - "$1" <<'P'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
at = os.fstat(fd).st_size // 2 + 1234
byte = os.pread(fd, 1, at)
os.pwrite(fd, bytes([byte[0] ^ 0x10]), at)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
P
}
never_wrong() {  # never_wrong NAME: reading fails with EIO, and what was read before is right
  local n
  if timeout 60 cat "$MNT2/$1" >"$WORK/got" 2>"$WORK/error"; then fail "$1: reading the flipped byte succeeded"; fi
  grep -q 'Input/output error' "$WORK/error" || fail "$1: not EIO: $(<"$WORK/error")"
  n=$(stat -c %s "$WORK/got")
  cmp -n "$n" "$WORK/got" "$WORK/$1" || fail "$1: wrong data was read"
}
for name in running stopped; do
  touch "$WORK/mark"
  head -c 8000000 /dev/urandom >"$WORK/$name"
  cp "$WORK/$name" "$MNT/$name"
  sync "$MNT/$name"
  [ $name = running ] || kill_role chunkserver 1 TERM
  chunk=$(largest)
  [ -n "$chunk" ] || fail "no chunk file found"
  flip "$chunk"
  [ $name = running ] || start_role chunkserver 1
  never_wrong $name
done
head -c 8000000 /dev/urandom >"$WORK/good"
cp "$WORK/good" "$MNT/good"
cmp "$WORK/good" "$MNT2/good" || fail "a good file suffers from a bad one"
pass
