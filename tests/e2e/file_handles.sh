#!/bin/bash
# File handles (name_to_handle_at), as NFS servers keep them: of every kind of file, they outlive the kernel's cache, renames, a restart of
# the metaserver, a remount; they are the same through every mount. Of what was removed they are ESTALE, also when its name is given away again.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
need python3
start_cluster --chunkservers 1
second_mount
cat >"$WORK/handle.py" <<'P'
import ctypes, errno, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("type", ctypes.c_int), ("bytes", ctypes.c_ubyte * 128)]
def name(path):
    h, mount = Handle(128, 0), ctypes.c_int()
    if libc.name_to_handle_at(-100, path.encode(), ctypes.byref(h), ctypes.byref(mount), 0):
        raise OSError(ctypes.get_errno(), path)
    return "%d:%s" % (h.type, bytes(h.bytes[: h.size]).hex())
def look(mount, text):
    kind, data = text.split(":")
    data = bytes.fromhex(data)
    h = Handle(len(data), int(kind))
    ctypes.memmove(h.bytes, data, len(data))
    root = os.open(mount, os.O_RDONLY)
    fd = libc.open_by_handle_at(root, ctypes.byref(h), os.O_PATH | os.O_NOFOLLOW)
    if fd < 0:
        return errno.errorcode[ctypes.get_errno()]
    me = "/proc/self/fd/%d" % fd
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            return "file " + open(me).read().strip()
        if stat.S_ISLNK(mode):
            return "link " + os.readlink("", dir_fd=fd)
        if stat.S_ISDIR(mode):
            return "directory %s in %s" % (",".join(sorted(os.listdir(me))), ",".join(sorted(os.listdir(me + "/.."))))
        return "special %o" % stat.S_IFMT(mode)
    except OSError as e:
        return errno.errorcode[e.errno]
print(name(sys.argv[2]) if sys.argv[1] == "name" else look(sys.argv[2], sys.argv[3]))
P
name() { python3 "$WORK/handle.py" name "$1"; }
look() { python3 "$WORK/handle.py" look "$1" "$2" 2>&1 | tail -1; }
forget() { echo 2 >/proc/sys/vm/drop_caches; }
is() {  # is MOUNT HANDLE WORDS WHEN
  local got
  got=$(look "$1" "$2")
  [ "$got" = "$3" ] || fail "$4: the handle is '$got' instead of '$3'"
}
d=$MNT/d
mkdir -p "$d/x/y/z"
echo one >"$d/x/y/f"
ln -s target "$d/x/y/l"
mkfifo "$d/x/y/p"
declare -A handle words
for n in f l p z; do handle[$n]=$(name "$d/x/y/$n"); done
words=([f]='file one' [l]='link target' [p]='special 10000' [z]='directory  in f,l,p,z')
all() { local n; for n in f l p z; do is "$1" "${handle[$n]}" "${words[$n]}" "$2: $n"; done; }
all "$MNT" "at first"
forget; all "$MNT" "after the kernel's cache was dropped"
all "$MNT2" "in a mount that has never seen it"
for n in f l p z; do [ "$(name "$MNT2/d/x/y/$n")" = "${handle[$n]}" ] || fail "the other mount gives another handle for $n"; done
mv "$d/x/y" "$d/moved"
mv "$d/moved/f" "$d/f"
mv "$d/moved/p" "$d/p"
words[z]='directory  in l,z'
forget; all "$MNT" "after renames"; all "$MNT2" "after renames"
ln "$d/f" "$d/f2"; rm "$d/f"
forget; all "$MNT" "after one of two names was removed"
kill_role metaserver 1
start_role metaserver 1
forget; all "$MNT" "after a restart of the metaserver"
umount "$MNT2"
"$DEVCLUSTER" kill --dir "$CLUSTER" mount 2 TERM 2>/dev/null || :
MNT2=
second_mount
all "$MNT2" "in a new mount"

# What is gone is gone.
echo two >"$d/g"
gone=$(name "$d/g")
mkdir "$d/h"
gone_dir=$(name "$d/h")
rm "$d/g"; rmdir "$d/h"
echo other >"$d/g"; mkdir "$d/h"
for m in "$MNT" "$MNT2"; do is "$m" "$gone" ESTALE "a removed file"; is "$m" "$gone_dir" ESTALE "a removed directory"; done
forget
for m in "$MNT" "$MNT2"; do is "$m" "$gone" ESTALE "a removed file"; is "$m" "$gone_dir" ESTALE "a removed directory"; done
[ "$(name "$d/g")" != "$gone" ] || fail "a new file has the handle of a removed one"
# The same number of another generation (a volume that was made anew) is not the same file.
other=$(python3 - "${handle[f]}" <<'P'
import sys
kind, data = sys.argv[1].split(":")
data = bytearray.fromhex(data)
data[8] ^= 1   # FILEID_INO64_GEN: number, generation
print(kind + ":" + data.hex())
P
)
is "$MNT" "$other" ESTALE "another generation"
forget; is "$MNT2" "$other" ESTALE "another generation"
forget; all "$MNT" "in the end"
# Without a name, but open.
exec 7<"$d/f2"
rm "$d/f2"
is "$MNT2" "${handle[f]}" "file one" "removed, but open"
exec 7<&-
released() { [ "$(look "$MNT2" "${handle[f]}")" = ESTALE ]; }
forget
wait_until 10 released || fail "closed after its removal: $(look "$MNT2" "${handle[f]}")"
pass
