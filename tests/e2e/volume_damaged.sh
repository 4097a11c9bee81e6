#!/bin/bash
# timeout: 300 long: 600
# Tables of a volume's database are damaged, while its metaserver is stopped and while it serves: that volume is not served, in words
# that say which file and what to do, this time and after each start; the metaserver goes on with its other volume and votes; and a
# backup brings the volume back.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 1
await_agreement 20 1 2 3
second=$(address_of 2)
kfs_at 1 volume create data --owner "$second" >/dev/null
kfs_at 1 volume create other --owner "$second" >/dev/null
number=$(kfs_at 1 volume list --json | jq '.[] | select(.name == "data") | .id')
tables() { find "$CLUSTER/metaserver-2/volumes/$number" -name '*.sst'; }
mount_through 1 other "$WORK/other"
mount_through 1 data "$WORK/data" soft,timeo=50
# Names that do not compress, so that they fill some blocks.
python3 - "$WORK/data" <<'P'
import os, random, string, sys
for n in range(1500):
    with open(sys.argv[1] + f"/{n:04}-" + "".join(random.choices(string.ascii_letters, k=100)), "x"):
        pass
P
echo content >"$WORK/data/file"
sync "$WORK/data/file"
ls "$WORK/data" >"$WORK/names"
kfs_at 1 volume backup data "$WORK/backup.tar" >/dev/null
kill_role metaserver 2 TERM   # what is in the log goes into a table at the next start
start_role metaserver 2
await_agreement 20 1 2 3
[ -n "$(tables)" ] || fail "there is no table to be damaged"

damage() {  # damage FILE: 64 bytes are others, at several places
  python3 - "$1" "$RANDOM" <<'P'
import os, random, sys
path, seed = sys.argv[1:]
size, r = os.path.getsize(path), random.Random(seed)
with open(path, "r+b") as f:
    for part in range(1, 9):
        at = max(0, min(size * part // 10, size - 64))
        f.seek(at)
        old = f.read(64)
        f.seek(at)
        f.write(bytes(b ^ r.randrange(1, 256) for b in old))
P
}
in_trouble() { kfs_at 1 volume status 2>&1 | grep -qE '^data: the metadata in .* is damaged: .*\.sst.*kfs volume restore'; }
goes_on_without() {  # goes_on_without WHEN
  wait_until 10 in_trouble || { kfs_at 1 volume status; fail "$1: 'volume status' does not say which file and what to do"; }
  wait_until 20 answers_with "$WORK/other" ok || fail "$1: the other volume is not served"
  await_agreement 20 1 2 3
  kill_role metaserver 3
  says '^generation' 1 volume set other user.note "$1" || fail "$1: it does not vote"
  start_role metaserver 3
  await_agreement 20 1 2 3
  ! dead "$(pid_of metaserver 2)" || fail "$1: the metaserver has ended"
  [ "$(answers "$WORK/data")" != ok ] || fail "$1: the damaged volume is served"
}
restored() {  # restored WHEN
  kfs_at 1 volume stop data --yes >/dev/null
  kfs_at 1 volume restore data "$WORK/backup.tar" --yes >/dev/null || fail "$1: it cannot be restored"
  kfs_at 1 volume start data >/dev/null
  mount_through 1 data "$WORK/again"
  diff "$WORK/names" <(ls "$WORK/again") >/dev/null || fail "$1: the names are not those of the backup"
  [ "$(<"$WORK/again/file")" = content ] || fail "$1: a file is not what it was"
  unmount "$WORK/again"
}

# ---- while it serves

pid=$(pid_of metaserver 2)
for table in $(tables); do damage "$table"; done
reads() { timeout 10 ls "$WORK/data" >/dev/null 2>&1; }
unreadable() { ! reads; }
wait_until 20 unreadable || fail "names can be read from a damaged table"
goes_on_without "while it serves"
[ "$(pid_of metaserver 2)" = "$pid" ]
grep -q 'volume.damaged name=data' "$CLUSTER/log/metaserver-2.log" || fail "the log does not say so"
for try in first second; do
  kill_role metaserver 2
  start_role metaserver 2
  # Whether it is found at the start or with the first names that are read.
  reads || :
  goes_on_without "after the $try start"
done
restored "after damage that was found while it was served"

# ---- while it is stopped

umount -l "$WORK/data"
for try in first second; do kill_role metaserver 2; start_role metaserver 2; done
kill_role metaserver 2
for table in $(tables); do
  size=$(stat -c %s "$table")
  truncate -s $((size / 2)) "$table"
done
start_role metaserver 2
wait_until 10 in_trouble || { kfs_at 1 volume status; fail "cut tables are not told"; }
wait_until 20 answers_with "$WORK/other" ok || fail "the other volume is not served beside one with cut tables"
restored "after its tables were cut"
pass
