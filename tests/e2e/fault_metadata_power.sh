#!/bin/bash
# timeout: 240 long: 900
# The metaserver's machine loses power again and again: what it had not made durable is gone. Mounts go on; whatever fsync has
# confirmed, by whichever call, is there; where something answered was lost, fsync does not say that all is well.
. "$(dirname "$0")/lib.sh"
export POWER_CUT=1
. "$(dirname "$0")/own_disk_common.sh"

# Each kind notes what was confirmed. A call that fails after a loss is begun anew, on a handle of its own.
cat >"$WORK/writer.py" <<'P'
import os, sys, time
kind, root, said, enough = sys.argv[1:]
out = open(said, "a")
failed = 0

def note(*words):
    print(*words, file=out, flush=True)

def names(n):  # a file, and the name of it
    fd = os.open(f"{root}/n{n}", os.O_CREAT | os.O_WRONLY)
    try:
        os.write(fd, b"%09d\n" % n)
        os.fsync(fd)
    finally:
        os.close(fd)
    note(f"n{n}", "%09d" % n)

log = None
def appends(n):  # one long file, as a database's log
    global log
    if log is None:
        log = os.open(f"{root}/log", os.O_CREAT | os.O_WRONLY)
    try:
        os.pwrite(log, b"%09d\n" % n, 10 * n)
        os.fsync(log)
    except OSError:
        os.close(log)
        log = None
        raise
    note("log", "%09d" % n)

def synced(n):  # O_SYNC
    global log
    if log is None:
        log = os.open(f"{root}/sync", os.O_CREAT | os.O_WRONLY | os.O_SYNC)
    try:
        os.pwrite(log, b"%09d\n" % n, 10 * n)
    except OSError:
        os.close(log)
        log = None
        raise
    note("sync", "%09d" % n)

def dirs(n):  # names made durable by their directory
    d = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.mkdir(f"{root}/d{n}")
        os.fsync(d)
    finally:
        os.close(d)
    note(f"d{n}", "dir")

def whole(path, flags, n=None):
    fd = os.open(path, flags)
    try:
        if n is not None:
            os.write(fd, b"%09d\n" % n)
        if n is None or flags & os.O_TRUNC:
            os.fsync(fd)
    finally:
        os.close(fd)

def replaces(n):  # a name given to what is whole, the directory opened afterwards
    whole(f"{root}/r.tmp", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, n)
    os.rename(f"{root}/r.tmp", f"{root}/r{n}")
    whole(root, os.O_RDONLY | os.O_DIRECTORY)
    note(f"r{n}", "%09d" % n)

def reopens(n):  # written through one handle, made durable through another
    whole(f"{root}/o{n}", os.O_CREAT | os.O_WRONLY, n)
    whole(f"{root}/o{n}", os.O_RDONLY)
    note(f"o{n}", "%09d" % n)

n = 0
while not os.path.exists(enough):
    try:
        {"names": names, "appends": appends, "synced": synced, "dirs": dirs,
         "replaces": replaces, "reopens": reopens}[kind](n)
    except OSError as e:
        failed += 1
        print(kind, n, e, flush=True)
        time.sleep(0.05)  # as a program does that tries again
        if kind in ("appends", "synced"):
            continue  # the same again
    n += 1
print(kind, n, "rounds,", failed, "failed", flush=True)
P
kinds="names appends synced dirs replaces reopens"
for kind in $kinds; do
  : >"$WORK/said-$kind"
  python3 "$WORK/writer.py" $kind "$MNT" "$WORK/said-$kind" "$WORK/enough" >"$WORK/out-$kind" 2>&1 &
  echo $! >"$WORK/pid-$kind"
done
grown() { lines_at_least "$WORK/said-$1" "$2"; }
rounds=8
! long || rounds=60
for round in $(seq $rounds); do
  for kind in $kinds; do
    count=$(wc -l <"$WORK/said-$kind")
    wait_until 30 grown $kind $((count + 10)) || fail "round $round: '$kind' does not go on: $(tail -2 "$WORK/out-$kind")"
  done
  metaserver=$(pid_of metaserver 1)
  shut_disk_down 2
  wait_until 20 dead "$metaserver" || fail "round $round: it goes on without a disk"
  umount "$CLUSTER/metaserver-1"
  mount_disk
  start_role metaserver 1
done
: >"$WORK/enough"
for kind in $kinds; do
  wait "$(<"$WORK/pid-$kind")" || fail "'$kind' ended with an error: $(tail -3 "$WORK/out-$kind")"
  say "$(tail -1 "$WORK/out-$kind")"
done
cat >"$WORK/check.py" <<'P'
import os, sys
root, bad = sys.argv[1], 0
for said in sys.argv[2:]:
    for line in open(said):
        name, want = line.split()
        path = f"{root}/{name}"
        try:
            if want == "dir":
                good = os.path.isdir(path)
            else:
                at = 10 * int(want) if name in ("log", "sync") else 0
                with open(path, "rb") as f:
                    f.seek(at)
                    good = f.read(10) == want.encode() + b"\n"
        except OSError as e:
            print(path, e)
            good = False
        if not good:
            bad += 1
            print("lost:", line.strip())
sys.exit(bad != 0)
P
python3 "$WORK/check.py" "$MNT" "$WORK"/said-* >"$WORK/lost" || fail "$(grep -c ^lost "$WORK/lost") confirmed changes are lost: $(head -4 "$WORK/lost" | tr '\n' ';')"
pass
