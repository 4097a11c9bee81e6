#!/bin/bash
# Volumes of other members: mounted through any, options and stop seen by mounts at once, detach and probe, deleted with their chunks.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 2 --option inventory-interval=1
await_agreement 20 1 2 3
kfs_at 1 volume create data --owner "$(address_of 2)"
mount_through 3 data "$WORK/data"
mount_through 1 data "$WORK/data-again"
head -c 3000000 /dev/urandom >"$WORK/random"
cp "$WORK/random" "$WORK/data/file"
cmp "$WORK/random" "$WORK/data-again/file"
[ "$(chunk_bytes)" -ge 3000000 ] || fail "no chunkserver has the file"

# Options, seen when the command returns.
[ "$(answers "$WORK/data")" = ok ]
kfs_at 1 volume set data read-only on
[ "$(answers "$WORK/data")" = EROFS ] || fail "a mount of a read-only volume writes"
[ "$(answers "$WORK/data-again")" = EROFS ] || fail "another mount of a read-only volume writes"
cmp "$WORK/random" "$WORK/data/file"
kfs_at 3 volume reset data read-only
[ "$(answers "$WORK/data")" = ok ] || fail "the volume is still read-only"
kfs_at 3 volume set data atime off
accessed() { stat -c %X "$WORK/data/$1"; }
touched() { [ "$(accessed "$1")" -gt 1000000 ]; }
read_again() { cat "$WORK/data-again/$1" >/dev/null; }
for name in off relative; do
  echo x >"$WORK/data/$name"
  touch -a -d @1000000 "$WORK/data/$name"
done
read_again off
kfs_at 2 volume reset data atime
read_again relative
wait_until 10 touched relative || fail "reading does not update the access time"
! touched off || fail "reading updates the access time though atime is off"

# Stopped and started again, with a file open.
cat >"$WORK/holder.py" <<'P'
import errno, fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
fcntl.lockf(fd, fcntl.LOCK_EX)
os.pwrite(fd, b"first", 0)
os.fsync(fd)
print("locked", flush=True)
for line in sys.stdin:
    try:
        os.pwrite(fd, line.strip().encode(), 0)
        os.fsync(fd)
        print("written", flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
P
mkfifo "$WORK/say"
exec 7<>"$WORK/say"
python3 "$WORK/holder.py" "$WORK/data/held" <"$WORK/say" >"$WORK/said" & holder=$!
wait_until 10 grep -q locked "$WORK/said"
holder_says() {  # holder_says TEXT: what writing TEXT answers
  local before
  before=$(wc -l <"$WORK/said")
  echo "$1" >&7
  wait_until 10 lines_at_least "$WORK/said" $((before + 1)) || fail "a write through an open file hangs"
  tail -1 "$WORK/said"
}
kfs_at 1 volume stop data --yes
wait_until 5 answers_with "$WORK/data" ESHUTDOWN || fail "a mount of a stopped volume answers $(answers "$WORK/data")"
answer=$(holder_says stale)
[ "$answer" = ESHUTDOWN ] || fail "an open file of a stopped volume answers $answer"
[ "$(answers "$MNT")" = ok ] || fail "another volume does not work"
refused 'stopped' 3 volume stop data --yes
kfs_at 3 volume start data
wait_until 10 answers_with "$WORK/data" ok || fail "the mount of a volume that was started again answers $(answers "$WORK/data")"
answer=$(holder_says second)
[ "$answer" = written ] || fail "an open file of a volume that was started again answers $answer"
[ "$(<"$WORK/data/held")" = second ]
wait_until 10 answers_with "$WORK/data-again" ok
! python3 -c 'import fcntl,sys; fcntl.lockf(open(sys.argv[1],"r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)' "$WORK/data-again/held" 2>/dev/null ||
  fail "the lock did not survive"
kill $holder
exec 7>&-

# Deleting and detaching ask for what has to come first.
refused 'stop it first' 1 volume delete data --yes
refused 'owns volume "data"' 1 peer detach "$(address_of 2)"
kfs_at 2 volume stop data --yes
kfs_at 1 volume delete data --yes
case $(answers "$WORK/data") in ENOENT | ESHUTDOWN | ESTALE | EIO) ;; *) fail "the mount of a deleted volume answers $(answers "$WORK/data")" ;; esac
unmount "$WORK/data"
unmount "$WORK/data-again"
wait_until 20 chunk_bytes_below 1000000 || fail "the chunks of a deleted volume remain: $(chunk_bytes) bytes"
kfs_at 1 peer detach "$(address_of 2)"
refused 'there is no peer' 1 peer why "$(address_of 2)"
agree 1 3 || await_agreement 10 1 3
detached() { kfs_at 1 peer probe "$(address_of 2)" >"$WORK/probed" 2>&1; }
wait_until 10 detached || { cat "$WORK/probed"; fail "the detached metaserver cannot be probed in again"; }
await_agreement 10 1 2 3
kfs_at 2 volume create data --owner "$(address_of 2)"
mount_through 1 data "$WORK/data"
[ "$(answers "$WORK/data")" = ok ]
[ ! -e "$WORK/data/file" ] || fail "the new volume has files of the deleted one"
pass
