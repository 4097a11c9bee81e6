#!/bin/bash
# A deleted volume's chunks leave the chunkservers' disks within seconds, not with the next inventory of an hour later, also from a
# chunkserver that was down meanwhile. Mounts of it say ESTALE, and go on saying so when its name is given to a new volume.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
asleep=
on_exit() {
  local directory
  [ -z "$asleep" ] || kill -CONT "$asleep" 2>/dev/null   # else unmounting waits for it
  for directory in "$WORK/old" "$WORK/old-too" "$WORK/new"; do umount -l "$directory" 2>/dev/null; done
}
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3
kfs_at 1 volume create data --owner "$(address_of 2)" --chunk-size 64K >/dev/null
number() { kfs_at 1 volume list --json | jq '.[] | select(.name == "data") | .id'; }
first=$(number)
chunks_of() { find "$CLUSTER"/chunkserver-*/v"$1" -name '*.data' 2>/dev/null | wc -l; }   # chunks_of VOLUME'S-NUMBER
has_chunks() { [ "$(chunks_of "$1")" = "$2" ]; }
mount_through 1 data "$WORK/old"
mount_through 3 data "$WORK/old-too"
asleep=$MOUNTED
head -c 4000000 /dev/urandom >"$WORK/random"
cp "$WORK/random" "$MNT/other"
for i in 1 2 3 4 5; do cp "$WORK/random" "$WORK/old/file$i"; done
[ "$(chunks_of "$first")" = 310 ] || fail "5 files of 62 chunks each have $(chunks_of "$first") chunks"
[ "$(chunk_bytes)" -ge 20000000 ]

# says_of DIRECTORY CALL: what becomes of it, "ok" or the errno's name. Returns within 5 s.
cat >"$WORK/calls.py" <<'P'
import errno, os, sys
directory, call = sys.argv[1:]
try:
    match call:
        case "stat": os.stat(directory)
        case "list": os.listdir(directory)
        case "lookup": os.stat(directory + "/file1")
        case "read": open(directory + "/file1", "rb").read(1)
        case "create": os.close(os.open(directory + "/new", os.O_CREAT | os.O_WRONLY))
        case "remove": os.unlink(directory + "/file1")
        case "statfs": os.statvfs(directory)
    print("ok")
except OSError as e:
    print(errno.errorcode[e.errno])
P
says_of() { timeout 5 python3 "$WORK/calls.py" "$@" || echo "hangs"; }
# A shell that is in the volume, and has a file open.
mkfifo "$WORK/go"
(
  cd "$WORK/old-too"
  exec 8<file2
  read -r _
  ls . >/dev/null 2>"$WORK/inside" || :
  head -c 1 <&8 >/dev/null 2>"$WORK/open" || :
) <>"$WORK/go" &
inside=$!
in_it() { [ -e "/proc/$inside/fd/8" ]; }
wait_until 10 in_it

# One mount sees it stopped and then deleted, the other finds it gone when it wakes up.
may_stall "a process is stopped, perhaps in the middle of a tick"
kill -STOP "$asleep"
kfs_at 1 volume stop data --yes >/dev/null
[ "$(says_of "$WORK/old" list)" = ESHUTDOWN ] || fail "a mount of the stopped volume says $(says_of "$WORK/old" list)"
[ "$(chunks_of "$first")" = 310 ] || fail "stopping a volume removes its chunks"
# One chunkserver hears of it only when it is back.
kill_role chunkserver 2
on_second=$(find "$CLUSTER/chunkserver-2/v$first" -name '*.data' | wc -l)
[ "$on_second" -gt 20 ] && [ "$on_second" -lt 290 ] || fail "$on_second of 310 chunks are on the second chunkserver"
kfs_at 3 volume delete data --yes >/dev/null
began=$SECONDS
wait_until 20 has_chunks "$first" "$on_second" ||
  fail "20 s after the volume was deleted $(($(chunks_of "$first") - on_second)) chunks are on a chunkserver that is up"
say "the chunks were gone after $((SECONDS - began)) s"

# ---- the old mounts: the volume is no more, whichever way they are asked

every_call() { for call in stat list lookup read create remove; do echo "$call $(says_of "$1" $call)"; done; }
says_stale() { [ "$(says_of "$1" stat)" = ESTALE ]; }
stale() {  # stale WHEN
  every_call "$WORK/old-too" >"$WORK/every"
  ! grep -v ' ESTALE$' "$WORK/every" || fail "$1, calls in a mount of the deleted volume say: $(<"$WORK/every")"
  # It asks each second or so what has become of the volume: at first it may not have heard of more than the stop.
  wait_until 5 says_stale "$WORK/old" || fail "$1, the other mount of it still says $(says_of "$WORK/old" stat)"
  every_call "$WORK/old" >"$WORK/every"
  ! grep -vE ' ESTALE$' "$WORK/every" || fail "$1, calls in the other mount of it say: $(<"$WORK/every")"
}
kill -CONT "$asleep"
stale "after it was deleted"

kfs_at 1 volume create data --owner "$(address_of 2)" >/dev/null
mount_through 3 data "$WORK/new"
echo new >"$WORK/new/file1"
echo new >"$WORK/new/unheard"
[ "$(number)" != "$first" ] || fail "the new volume has the old one's number"
stale "with another volume under its name"
[ ! -e "$WORK/old/unheard" ]
echo >"$WORK/go"
wait $inside
grep -q 'Stale file handle' "$WORK/inside" || fail "a shell that was in the deleted volume lists it: $(<"$WORK/inside")"
grep -q 'Stale file handle' "$WORK/open" || fail "an open file of the deleted volume: $(<"$WORK/open")"
# The owner starts anew, and with it all connections.
kill_role metaserver 2
start_role metaserver 2
wait_until 10 answers_with "$WORK/new" ok || fail "the new volume is not served after a restart"
stale "after a restart of the owner"
[ "$(<"$WORK/new/file1")" = new ]
unmount "$WORK/old"
unmount "$WORK/old-too"
start_role chunkserver 2
wait_until 20 has_chunks "$first" 0 || fail "a chunkserver that was down keeps $(chunks_of "$first") chunks of the deleted volume"
cmp "$WORK/random" "$MNT/other" || fail "another volume's file is damaged"
[ "$(<"$WORK/new/file1")" = new ]
unmount "$WORK/new"
pass
