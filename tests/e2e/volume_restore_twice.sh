#!/bin/bash
# Backups are restored again and again, older ones after younger ones: every write and every fsync of a new file works from the first
# moment on. A backup is written where it is told to, and what is no regular file there stays what it is.
# timeout: 180 long: 300
. "$(dirname "$0")/lib.sh"
need_root
need_cluster
need python3
start_cluster --chunkservers 3
KFS_METASERVER=$(<"$CLUSTER/run/metaserver-1.address")
export KFS_METASERVER KFS_SECRET_FILE=$CLUSTER/secret
KFS=$(built kfs)

served() { ls "$MNT" >/dev/null 2>&1; }
restore() {  # restore FILE
  "$KFS" volume stop dev --yes >/dev/null
  "$KFS" volume restore dev "$1" --yes >/dev/null
  "$KFS" volume start dev >/dev/null
  wait_until 20 served || fail "the volume is not served after $1 was restored"
}
cat >"$WORK/works.py" <<'P'
import os, sys
where, tag = sys.argv[1:]
for n in range(40):
    name = f"{where}/{tag}-{n}"
    text = f"{tag} {n}\n".encode() * 50
    f = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    try:
        os.write(f, text)
        os.fsync(f)
    except OSError as e:
        sys.exit(f"{name}: {e}")
    os.close(f)
    with open(name, "rb") as again:
        if again.read() != text:
            sys.exit(f"{name} is not what was written")
os.mkdir(f"{where}/{tag}-d")
d = os.open(f"{where}/{tag}-d", os.O_RDONLY)
os.fsync(d)
P
works() { python3 "$WORK/works.py" "$MNT" "$1" || fail "after the restore $1"; }

echo first >"$MNT/first"
"$KFS" volume backup dev "$WORK/one.kfs" >/dev/null
for round in 1 2 3; do
  restore "$WORK/one.kfs"
  works "younger-$round"
  "$KFS" volume backup dev "$WORK/younger-$round.kfs" >/dev/null
  restore "$WORK/younger-$round.kfs"
  works "again-$round"
  [ -e "$MNT/younger-$round-3" ] && [ "$(cat "$MNT/first")" = first ] || fail "the younger backup is not complete"
done
restore "$WORK/one.kfs"
works last
[ ! -e "$MNT/younger-1-1" ] || fail "the older backup has younger files"
# One that is made right after a restore, before the volume is started.
"$KFS" volume stop dev --yes >/dev/null
"$KFS" volume restore dev "$WORK/younger-2.kfs" --yes >/dev/null
"$KFS" volume backup dev "$WORK/stopped.kfs" >/dev/null || fail "no backup can be made right after a restore"
"$KFS" volume start dev >/dev/null
wait_until 20 served
works stopped

# ---- where it is written to
says_of_backup() { "$KFS" volume backup dev "$@" 2>&1; }
for device in /dev/null /dev/full; do
  says_of_backup "$device" --force >/dev/null || [ "$device" = /dev/full ] || fail "$device cannot be written to"
  [ -c "$device" ] || fail "$device is not a device any more"
done
[ ! -e /dev/null.part ]
mkfifo "$WORK/fifo"
cat "$WORK/fifo" >"$WORK/through-fifo" & reader=$!
"$KFS" volume backup dev "$WORK/fifo" >/dev/null
wait $reader
[ -p "$WORK/fifo" ] || fail "a FIFO was replaced"
"$KFS" volume backup dev - >"$WORK/stdout" 2>/dev/null
for file in through-fifo stdout; do
  tar tf "$WORK/$file" | grep -q kfs-backup.json || fail "$file is not a whole backup"
done
ln -s real.kfs "$WORK/link"
"$KFS" volume backup dev "$WORK/link" >/dev/null
[ -L "$WORK/link" ] && [ -f "$WORK/real.kfs" ] || fail "a link was replaced"
[ "$(stat -c %a "$WORK/real.kfs")" = 600 ] || fail "a backup has mode $(stat -c %a "$WORK/real.kfs")"
bytes=$("$KFS" --json volume backup dev "$WORK/real.kfs" --force | python3 -c 'import json, sys; print(json.load(sys.stdin)["bytes"])')
[ "$bytes" = "$(stat -c %s "$WORK/real.kfs")" ] || fail "it says $bytes bytes, and the file has $(stat -c %s "$WORK/real.kfs")"
must_fail "$KFS" volume backup dev "$WORK" --force
restore "$WORK/stdout"
works "stdout"
# The pid file of a mount.
mkdir "$WORK/other"
"$KFS" mount "$KFS_METASERVER:/dev" "$WORK/other" -o "pidfile=/dev/null,secretfile=$CLUSTER/secret,log=$WORK/other.log"
umount "$WORK/other"
gone() { ! mounted "$WORK/other" && grep -q mount.unmounted "$WORK/other.log"; }
wait_until 10 gone
[ -c /dev/null ] || fail "/dev/null is not a device any more"
POWER_CUT=1   # restoring loses what was made since, and mounts say so
pass
