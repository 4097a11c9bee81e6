#!/bin/bash
# A member's disk is full, by somebody else's files: it neither votes nor learns what is decided, but lives and serves the volume that
# it owns; the others go on. With two of three full nothing can be changed, in words. With room again they catch up.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
for n in 2 3; do
  mkdir -p "$CLUSTER/metaserver-$n"
  mount -t tmpfs -o size=160m kfs-e2e "$CLUSTER/metaserver-$n"
done
start_cluster --metaservers 3 --chunkservers 1
await_agreement 20 1 2 3
kfs_at 1 volume create data --owner "$(address_of 2)"
mount_through 1 data "$WORK/data"
mkdir "$WORK/data/before"
echo kept >"$WORK/data/before/file"
fill() { dd if=/dev/zero of="$CLUSTER/metaserver-$1/filler" bs=64k status=none oflag=append conv=notrunc 2>/dev/null || :; }
has_no_room() { grep -q 'cluster.no_room' "$CLUSTER/log/metaserver-$1.log"; }
known=$(standing 2)
fill 2
wait_until 10 has_no_room 2 || fail "it does not say that it has no room"
for i in $(seq 150); do
  kfs_at 1 cluster set user.note "number $i" >"$WORK/set" 2>&1 || { cat "$WORK/set"; fail "change $i fails because of one full disk"; }
done
grep -q "will catch up: $(address_of 2) (its disk is full" "$WORK/set" || { cat "$WORK/set"; fail "a change does not say who has missed it"; }
! kfs_at 1 peer why "$(address_of 2)" >"$WORK/why" || fail "nothing is said to be wrong with it"
if ! grep -q '^BAD  room: its disk is full' "$WORK/why" || grep -Eq 'it votes|catches up' "$WORK/why"; then
  cat "$WORK/why"
  fail "peer why does not say what is wrong with it"
fi
kill -0 "$(pid_of metaserver 2)" || fail "a full disk has ended it"
[ "$(standing 2)" = "$known" ] || fail "it learns what it has no room for"
[ "$(<"$WORK/data/before/file")" = kept ] || fail "its volume cannot be read"
touch "$WORK/data/before/file" || fail "nothing can be changed on its volume"
! mkdir "$WORK/data/new" 2>"$WORK/error" || fail "something new is made on a full disk"
refused "in lock on peer $(address_of 2): its disk is full" 2 cluster set user.note mine --timeout 3
fill 3
wait_until 10 has_no_room 3 || fail "it does not say that it has no room"
refused "missing: .*$(address_of 3) \(its disk is full" 1 cluster set user.note two --timeout 3
[ "$(answers "$MNT")" = ok ] || fail "the volume of the one that has room does not work"
rm "$CLUSTER"/metaserver-[23]/filler
await_agreement 20 1 2 3
kfs_at 2 cluster set user.note again || fail "nothing can be changed although there is room again"
await_agreement 10 1 2 3
works() { mkdir "$WORK/data/new" 2>/dev/null; }
wait_until 10 works || fail "nothing can be made although there is room again"
unmount "$WORK/data"
pass
