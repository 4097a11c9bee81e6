#!/bin/bash
# The option read-only of a volume: whoever asks to write gets EROFS, also through files that are open and also root; what reads
# goes on, and what was written before is there. Off again, the same mounts and open files write.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 1
await_agreement 20 1 2 3
kfs_at 1 volume create data --owner "$(address_of 2)" >/dev/null
mount_through 1 data "$WORK/data"
mount_through 3 data "$WORK/again"
mkdir "$WORK/data/directory" "$WORK/data/empty"
echo content >"$WORK/data/file"
echo content >"$WORK/data/directory/inner"
printf '#!/bin/sh\necho runs\n' >"$WORK/data/program"
chmod 755 "$WORK/data/program"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.note", b"old")' "$WORK/data/file"
# Relatime would update it at the next reading.
touch -a -d @1000000 "$WORK/data/file"

# Each call on a line of its own, with its errno's name or "ok". The files that it writes through were opened before.
cat >"$WORK/calls.py" <<'P'
import errno, fcntl, os, sys
d = sys.argv[1]
f = d + "/file"
opened = os.open(d + "/file", os.O_RDWR)
unnamed = os.open(d + "/unnamed", os.O_RDWR | os.O_CREAT, 0o644)
os.unlink(d + "/unnamed")
os.write(unnamed, b"nameless")
def make(flags, name="/new"):
    os.close(os.open(d + name, flags, 0o644))
writing = {
    "open for writing": lambda: make(os.O_WRONLY, "/file"),
    "open for both": lambda: make(os.O_RDWR, "/file"),
    "open and truncate": lambda: make(os.O_WRONLY | os.O_TRUNC, "/file"),
    "create": lambda: make(os.O_WRONLY | os.O_CREAT),
    "pwrite to an open file": lambda: os.pwrite(opened, b"C", 0),
    "append to an open file": lambda: os.pwrite(opened, b"C", 8),
    "ftruncate": lambda: os.ftruncate(opened, 3),
    "fallocate": lambda: os.posix_fallocate(opened, 0, 4096),
    "pwrite to a file without a name": lambda: os.pwrite(unnamed, b"n", 0),
    "truncate": lambda: os.truncate(f, 3),
    "mkdir": lambda: os.mkdir(d + "/new-directory"),
    "rmdir": lambda: os.rmdir(d + "/empty"),
    "unlink": lambda: os.unlink(f),
    "rename": lambda: os.rename(f, d + "/other"),
    "link": lambda: os.link(f, d + "/link"),
    "symlink": lambda: os.symlink("file", d + "/symlink"),
    "mkfifo": lambda: os.mkfifo(d + "/fifo"),
    "chmod": lambda: os.chmod(f, 0o600),
    "chown": lambda: os.chown(f, 1, 1),
    "utime": lambda: os.utime(f, (1, 1)),
    "setxattr": lambda: os.setxattr(f, "user.note", b"new"),
    "removexattr": lambda: os.removexattr(f, "user.note"),
}
def same(is_, should):
    assert is_ == should, f"{is_} instead of {should}"
reading = {
    "read": lambda: same(open(f).read(), "content\n"),
    "read an open file": lambda: same(os.pread(opened, 100, 0), b"content\n"),
    "read a file without a name": lambda: same(os.pread(unnamed, 100, 0), b"nameless"),
    "list": lambda: same(sorted(os.listdir(d)), ["directory", "empty", "file", "program"]),
    "stat": lambda: same(os.stat(f).st_size, 8),
    "access R_OK": lambda: same(os.access(f, os.R_OK), True),
    "getxattr": lambda: same(os.getxattr(f, "user.note"), b"old"),
    "a missing name": lambda: same(os.path.exists(d + "/none"), False),
    "run": lambda: same(os.popen(d + "/program").read(), "runs\n"),
    "fsync": lambda: os.fsync(opened),
    "lock": lambda: (fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB), fcntl.lockf(opened, fcntl.LOCK_UN)),
}
def say(kind, calls):
    for name, call in calls.items():
        try:
            call()
            answer = "ok"
        except OSError as e:
            answer = errno.errorcode[e.errno]
        except AssertionError as e:
            answer = str(e)
        print(f"{kind} {name}: {answer}", flush=True)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "only":
        say("reading", reading)
        say("writing", writing)
        say("reading", reading)
    else:
        os.pwrite(opened, b"changed\n", 0)
        os.pwrite(unnamed, b"changed", 0)
        make(os.O_WRONLY | os.O_CREAT)
        os.rename(d + "/new", d + "/newer")
        os.access(f, os.W_OK) or sys.exit("access says no")
    print("done", flush=True)
P
callers=()
for name in data again; do
  mkfifo "$WORK/tell-$name"
  python3 "$WORK/calls.py" "$WORK/$name" <>"$WORK/tell-$name" >"$WORK/said-$name" 2>&1 &
  callers+=($!)
  wait_until 10 grep -q ready "$WORK/said-$name" || fail "the calls on $name do not begin: $(<"$WORK/said-$name")"
done
told() { [ "$(grep -cx 'done' "$WORK/said-$1")" = "$2" ]; }
tell() {  # tell NAME WHAT TIMES-SO-FAR
  echo "$2" >"$WORK/tell-$1"
  wait_until 20 told "$1" "$3" || fail "the calls on $name ($2) end with: $(tail -3 "$WORK/said-$name")"
}

kfs_at 1 volume set data read-only on >/dev/null
for name in data again; do
  tell $name only 1
  ! grep '^writing' "$WORK/said-$name" | grep -v ': EROFS$' || fail "calls that write on a volume that is read-only"
  ! grep '^reading' "$WORK/said-$name" | grep -v ': ok$' || fail "calls that read on a volume that is read-only"
done
[ "$(stat -c %X "$WORK/data/file")" = 1000000 ] || fail "reading updates access times on a volume that is read-only"
[ "$(answers "$MNT")" = ok ] || fail "another volume is read-only too"
# A mount that is made now, and one after the owner has started anew.
mount_through 2 data "$WORK/late"
[ "$(<"$WORK/late/file")" = content ]
[ "$(answers "$WORK/late")" = EROFS ] || fail "a new mount of a volume that is read-only answers $(answers "$WORK/late")"
kill_role metaserver 2
start_role metaserver 2
wait_until 10 answers_with "$WORK/late" EROFS || fail "after a restart of the owner a write answers $(answers "$WORK/late")"
kfs_at 3 volume get data read-only | grep -qw on

kfs_at 3 volume set data read-only off >/dev/null
for name in data again; do tell $name write 2; done
[ "$(<"$WORK/late/file")" = changed ] || fail "what was written afterwards is not there"
[ "$(answers "$WORK/late")" = ok ]
[ "$(sort "$WORK/late/directory/inner")" = content ] && [ -e "$WORK/late/newer" ]
kill "${callers[@]}"
wait "${callers[@]}" || :
for name in data again late; do unmount "$WORK/$name"; done
pass
