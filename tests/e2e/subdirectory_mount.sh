#!/bin/bash
# A directory of a volume mounted by itself: it is the root, nothing above it is seen, it is followed when it is renamed, also
# through restarts of the metaserver, and is ESTALE when it is removed. What cannot be mounted is said in words.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
need jq python3
start_cluster
KFS=$(built kfs)
ADDRESS=$(<"$CLUSTER/run/metaserver-1.address")
SOURCE=$(awk -v m="$MNT" '$2 == m {print $1}' /proc/self/mounts)
mount_dir() { "$KFS" mount "$SOURCE/$1" "$2" -o "secretfile=$CLUSTER/secret,log=$WORK/$(basename "$2").log"; }

mkdir -p "$MNT/top/in/deep" "$MNT/top/other" "$WORK/a" "$WORK/b" "$WORK/c"
echo in >"$MNT/top/in/f"
echo out >"$MNT/top/f"
mkdir "$MNT/top/in/with blank"
mount_dir top/in "$WORK/a"
mount_dir "top/in/with blank" "$WORK/b"
mount_dir //top/./in/deep/ "$WORK/c"

# The root is that directory, in all that can be asked of it.
[ "$(<"$WORK/a/f")" = in ]
[ "$(find "$WORK/a" -mindepth 1 -printf '%P\n' | sort | tr '\n' ' ')" = "deep f with blank " ]
[ "$(stat -c %i "$WORK/a")" = 1 ] && [ "$(stat -c %i "$WORK/a/.")" = "$(stat -c %i "$WORK/a/deep/..")" ]
(cd "$WORK/a/deep" && [ "$(/bin/pwd)" = "$WORK/a/deep" ] && cd .. && [ "$(/bin/pwd)" = "$WORK/a" ])
# As the server has "..", not as the kernel remembers it.
python3 - "$WORK/a" <<'P'
import os, sys
with os.scandir(sys.argv[1]) as entries:
    assert {e.name: e.inode() for e in entries}["deep"] == os.stat(sys.argv[1] + "/deep").st_ino
P
df "$WORK/a" >/dev/null
findmnt -n -o SOURCE "$WORK/a" | grep -qx "$SOURCE/top/in"
"$KFS" status --metaserver "$ADDRESS" --secret-file "$CLUSTER/secret" --json |
  jq -e '[.sessions[].path] | contains(["/top/in", "/top/in/with blank", "/top/in/deep", "/"])' >/dev/null || fail "kfs status does not name the directories"

# The same files as through the whole volume, with locks and renames between all of them.
echo new >"$WORK/a/deep/n"
[ "$(cat "$MNT/top/in/deep/n")" = new ] && [ "$(<"$WORK/c/n")" = new ]
mv "$WORK/c/n" "$WORK/c/m" && [ ! -e "$WORK/a/deep/n" ]
ln "$WORK/a/deep/m" "$WORK/a/linked"
exec 8<"$MNT/top/in/f"   # (the kernel keeps locks of directories to itself)
flock -x 8
must_fail flock -n "$WORK/a/f" true
exec 8<&-
wait_until 5 flock -n "$WORK/a/f" true || fail "the lock stays"

# It is followed, whatever the directories are called, and by a metaserver that has started anew.
mv "$MNT/top/in" "$MNT/top/other/moved"
mkdir "$MNT/top/in"
[ "$(<"$WORK/a/f")" = in ]
exec 9>"$WORK/a/open"
kill_role metaserver 1
start_role metaserver 1
echo through >&9
exec 9>&-
[ "$(cat "$MNT/top/other/moved/open")" = through ]
[ "$(<"$WORK/a/f")" = in ] && [ -d "$WORK/c/." ]
umount "$WORK/c"
rm -rf "$MNT/top/other/moved/deep"

# Removed, it is gone, and nothing that takes its name is taken for it.
rm -rf "$MNT/top/other/moved"
mkdir "$MNT/top/other/moved"
gone() { [ "$(stat "$WORK/a/x" 2>&1 | grep -c 'Stale file handle')" = 1 ]; }
wait_until 20 gone || fail "a root that was removed: $(stat "$WORK/a/x" 2>&1)"
must_fail touch "$WORK/a/x"
umount "$WORK/a"
umount "$WORK/b"

# fstab's way, and words for what cannot be.
mount -t kfs -o "secretfile=$CLUSTER/secret" "$SOURCE/top/other" "$WORK/a" 2>"$WORK/said" ||
  PATH=$PATH:$(dirname "$(built mount.kfs)") "$(built mount.kfs)" "$SOURCE/top/other" "$WORK/a" -o "secretfile=$CLUSTER/secret"
[ -d "$WORK/a/moved" ]
umount "$WORK/a"
refused() {  # refused DIRECTORY WORDS
  ! mount_dir "$1" "$WORK/a" 2>"$WORK/said" || fail "$1 can be mounted"
  grep -qF "$2" "$WORK/said" || fail "$1: $(<"$WORK/said")"
}
ln -s top "$MNT/link"
refused nowhere 'there is no "/nowhere" in the volume'
refused top/nowhere/x 'there is no "/top/nowhere" in the volume'
refused top/f '"/top/f" is no directory'
refused link 'a symbolic link'
refused top/../top 'without ".."'
pass
