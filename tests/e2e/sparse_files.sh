#!/bin/bash
# Holes stay holes: dd seek, cp --sparse=always, SEEK_HOLE and SEEK_DATA exact to the 4 KiB block, a large hole takes no space.
. "$(dirname "$0")/lib.sh"
need python3
start_cluster --chunkservers 3
cd "$MNT"
dd if=/dev/urandom of=sparse bs=64k count=1 conv=notrunc status=none
dd if=/dev/urandom of=sparse bs=64k count=1 seek=1600 conv=notrunc status=none   # 100 MiB on: another chunk
truncate -s 200M sparse
[ "$(stat -c %s sparse)" = $((200 << 20)) ]
[ "$(du -k sparse | cut -f1)" -le 1024 ] || fail "the sparse file takes $(du -k sparse | cut -f1) KiB"
cat >"$WORK/map.py" <<'P'
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
at, end, found = 0, os.fstat(fd).st_size, []
while at < end:
    try:
        data = os.lseek(fd, at, os.SEEK_DATA)
    except OSError:
        break
    at = os.lseek(fd, data, os.SEEK_HOLE)
    found.append((data, at))
print(found)
P
expected='[(0, 65536), (104857600, 104923136)]'
map=$(python3 "$WORK/map.py" sparse)
[ "$map" = "$expected" ] || fail "extents $map, expected $expected"
cp --sparse=always sparse copy
cmp sparse copy
[ "$(python3 "$WORK/map.py" copy)" = "$expected" ] || fail "the copy's extents: $(python3 "$WORK/map.py" copy)"
cp --sparse=never copy full
cmp sparse full
[ "$(du -k full | cut -f1)" -ge $((200 * 1024)) ] || fail "the full copy takes only $(du -k full | cut -f1) KiB"
rm full
fallocate -p -o 0 -l 65536 copy
[ "$(python3 "$WORK/map.py" copy)" = '[(104857600, 104923136)]' ] || fail "after punching: $(python3 "$WORK/map.py" copy)"
truncate -s 1G hole
[ "$(du -k hole | cut -f1)" -le 64 ] || fail "a hole of 1 GiB takes $(du -k hole | cut -f1) KiB"
[ "$(head -c 1000000 hole | tr -d '\0' | wc -c)" = 0 ]
tar -cSf "$WORK/sparse.tar" sparse
mkdir out
tar -C out -xSf "$WORK/sparse.tar"
cmp sparse out/sparse
pass
