#!/bin/bash
# What fallocate has promised is there: a second reservation that does not fit fails and leaves the file as it was, and the first
# can be filled. While no chunkserver is there it waits.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
need fallocate
mkdir -p "$CLUSTER/chunkserver-1"
mount -t tmpfs -o size=400m kfs-e2e "$CLUSTER/chunkserver-1"
start_cluster --chunkservers 1
fallocate -l 200M "$MNT/one"
[ "$(stat -c %b "$MNT/one")" -ge $((200 * 2048)) ] || fail "200 MiB reserved, $(stat -c %b "$MNT/one") blocks counted"
echo short >"$MNT/two"
if fallocate -l 200M "$MNT/two" 2>"$WORK/error"; then fail "2 x 200 MiB reserved on 400 MiB"; fi
grep -q 'No space left on device' "$WORK/error" || fail "not ENOSPC: $(<"$WORK/error")"
[ "$(stat -c %s "$MNT/two")" = 6 ] || fail "a failed fallocate made the file $(stat -c %s "$MNT/two") bytes long"
dd if=/dev/urandom of="$MNT/one" bs=1M count=200 conv=notrunc,fsync status=none || fail "reserved space is not there"
rm "$MNT/one" "$MNT/two"

# Where the disk is so full that not even a chunk can be made: many small ones, two at a time.
filled() { timeout 30 fallocate -l 300M "$MNT/filler" 2>/dev/null; }
wait_until 30 filled || fail "what was removed makes no room"
"$(built kfs)" volume create small --chunk-size 64K --metaserver "$(<"$CLUSTER/run/metaserver-1.address")" --secret-file "$CLUSTER/secret" >/dev/null
mkdir "$WORK/small"
"$(built kfs)" mount -f "$(<"$CLUSTER/run/metaserver-1.address"):/small" "$WORK/small" -o "secretfile=$CLUSTER/secret" >"$WORK/small.log" 2>&1 &
wait_until 30 mounted "$WORK/small" || fail "the volume is not mounted: $(<"$WORK/small.log")"
for f in a b; do
  { code=0; timeout 60 fallocate -l 60M "$WORK/small/$f" 2>"$WORK/error-$f" || code=$?; echo $code >"$WORK/code-$f"; } &
done
both() { [ -s "$WORK/code-a" ] && [ -s "$WORK/code-b" ]; }
wait_until 70 both || fail "a reservation does not end"
without_room=0
for f in a b; do
  [ "$(<"$WORK/code-$f")" = 0 ] && continue
  grep -q 'No space left on device' "$WORK/error-$f" || fail "reserving $f ends with $(<"$WORK/code-$f"): $(<"$WORK/error-$f")"
  [ "$(stat -c %s "$WORK/small/$f")" = 0 ] || fail "a failed fallocate made $f $(stat -c %s "$WORK/small/$f") bytes long"
  without_room=$((without_room + 1))
  # Where something is, or nowhere; but it ends.
  for at in 0 30000000 62914000; do
    code=0
    printf 'abc' | timeout 30 dd of="$WORK/small/$f" bs=3 seek=$at oflag=seek_bytes conv=notrunc,fsync status=none 2>"$WORK/error" || code=$?
    [ $code = 0 ] || grep -q 'No space left on device' "$WORK/error" || fail "a write into $f at $at ends with $code: $(<"$WORK/error")"
    [ $code != 0 ] || [ "$(dd if="$WORK/small/$f" bs=3 skip=$at count=1 iflag=skip_bytes status=none)" = abc ] || fail "what was written to $f at $at is not there"
  done
done
[ $without_room -ge 1 ] || fail "2 x 60 MiB reserved on 100 MiB"
rm "$WORK/small/a" "$WORK/small/b"
reserved_again() { timeout 30 fallocate -l 20M "$WORK/small/b" 2>/dev/null; }
wait_until 40 reserved_again || fail "there is room again, and it cannot be reserved"
umount "$WORK/small"
rm "$MNT/filler"
room() { [ "$(df --output=avail -B1M "$MNT" | tail -1)" -gt 300 ]; }
wait_until 30 room || fail "what was removed makes no room"
# A chunkserver that ends before it has heard what to delete is full when it is back, for a moment. 20 MiB are left.
held() { "$(built kfs)" status --json --metaserver "$(<"$CLUSTER/run/metaserver-1.address")" --secret-file "$CLUSTER/secret" | grep -o '"chunks": *[0-9]*' | head -1; }
told() { [[ $(held) =~ \ 320$ ]]; }
wait_until 30 told || fail "what was removed is not deleted: $(held)"

kill_role chunkserver 1
fallocate -l 1M "$MNT/three" 2>"$WORK/error" & waiter=$!
(sleep 2; touch "$WORK/late") &   # long enough to be sure that it waits
wait_until 20 test -e "$WORK/late"
kill -0 $waiter 2>/dev/null || fail "fallocate did not wait for the chunkserver: $(<"$WORK/error")"
start_role chunkserver 1
wait $waiter || fail "fallocate failed although the chunkserver came back: $(<"$WORK/error")"
[ "$(stat -c %s "$MNT/three")" = 1048576 ]
pass
