#!/bin/bash
# timeout: 180 long: 300
# The mount's own options, at mount and at remount: access times by the rule that is in force, for files, directories and symbolic links;
# read-only; what a remount cannot change is refused in words; /proc/mounts, kfs status and the mount itself say what is in force.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
start_cluster --chunkservers 1
kfs=$(built kfs)
helper=$(built mount.kfs)
source=$(awk -v m="$MNT" '$2 == m {print $1}' /proc/self/mounts)
M=$WORK/other
mkdir "$M"
on_exit() { umount -l "$M" 2>/dev/null; }
put_up() { "$helper" "$source" "$M" -o "secretfile=$CLUSTER/secret,$1" || fail "mount -o $1"; }
remount() { "$helper" "$source" "$M" -o "remount,$1"; }
shown() { awk -v m="$M" '$5 == m {print $6 "," $NF}' /proc/self/mountinfo | tail -1; }
shows() { case ",$(shown)," in *",$1,"*) ;; *) fail "$1 is not in force: $(shown)" ;; esac; }
hides() { case ",$(shown)," in *",$1,"*) fail "$1 is in force: $(shown)" ;; *) ;; esac; }

mkdir "$MNT/t"
fresh() {
  echo x >"$MNT/t/f"
  mkdir -p "$MNT/t/d"
  touch "$MNT/t/d/e"
  ln -sf e "$MNT/t/l"
  touch -h -a -d 2001-01-01 "$MNT/t/f" "$MNT/t/d" "$MNT/t/l"
}
use() { cat "$M/t/f" >/dev/null; ls "$M/t/d" >/dev/null; readlink "$M/t/l" >/dev/null; }
old() { case $(stat -c %x "$MNT/t/$1") in 2001*) return 0 ;; esac; return 1; }
# moves WHAT: reading moves the access times of exactly these of f, d and l.
moves() {
  local name
  fresh
  use
  for name in f d l; do
    case $1 in
      *$name*) ! old $name || fail "$(shown): reading $name does not move its access time" ;;
      *) old $name || fail "$(shown): reading $name moves its access time" ;;
    esac
  done
}
# again WHAT: as above for a second reading, which relatime does not note.
again() {
  local name first second
  fresh
  use
  declare -A first
  for name in f d l; do first[$name]=$(stat -c %x "$MNT/t/$name"); done
  use
  for name in f d l; do
    second=$(stat -c %x "$MNT/t/$name")
    case $1 in
      *$name*) [ "$second" != "${first[$name]}" ] || fail "$(shown): the second reading of $name is not noted" ;;
      *) [ "$second" = "${first[$name]}" ] || fail "$(shown): the second reading of $name is noted" ;;
    esac
  done
}

for options in rw relatime noatime,atime norelatime; do put_up "$options"; shows relatime; moves fdl; again ""; umount "$M"; done
for options in noatime ro ro,strictatime strictatime,noatime; do put_up "$options"; moves ""; umount "$M"; done
put_up nodiratime; shows nodiratime; moves fl; umount "$M"
for options in strictatime noatime,strictatime; do put_up "$options"; hides relatime; moves fdl; again fdl; umount "$M"; done
put_up strictatime,nodiratime; moves fl; again fl; umount "$M"
put_up lazytime,nodev,nosuid,noexec,nosymfollow
for o in lazytime nodev nosuid noexec nosymfollow relatime; do shows $o; done
must_fail cat "$M/t/l"
moves fdl
umount "$M"
put_up rw
fresh
python3 - "$M/t" <<'P'
import os, sys
os.read(os.open(sys.argv[1] + "/f", os.O_RDONLY | os.O_NOATIME), 9)
os.listdir(os.open(sys.argv[1] + "/d", os.O_RDONLY | os.O_NOATIME))
P
old f && old d || fail "O_NOATIME: an access time moves"

# Remounted, by our helper and by whoever else calls mount(2): in force from the return on.
remount noatime; shows noatime; moves ""
remount strictatime; hides noatime; moves fdl; again fdl
remount relatime,nodiratime; moves fl
remount diratime; shows relatime; moves fdl
remount ro; shows ro; moves ""; must_fail touch "$M/t/new"
remount rw,nosuid,nodev,noexec; for o in nosuid nodev noexec; do shows $o; done; touch "$M/t/new"
remount rw; for o in nosuid nodev noexec; do hides $o; done
mount -i -o remount,noatime "$M"; moves ""
mount -i -o remount,bind,ro "$M"; moves ""; must_fail touch "$M/t/new2"
remount bind,rw,relatime; moves fdl   # (mount(8) would repeat the noatime that it sees)
remount sync; shows sync; echo y >"$M/t/synced"; remount async; hides sync

# What the serving process keeps cannot be changed, and is said; what stays as it is may be repeated.
for o in soft timeo=7 trace log=/tmp/x secretfile=/nowhere tls=off socketdir=/nowhere readdirplus dirsync noallow_other nonsense timeo=x; do
  if remount "$o" 2>"$WORK/words"; then fail "remount,$o is taken"; fi
  grep -q "${o%%=*}" "$WORK/words" || fail "remount,$o is refused without naming it: $(<"$WORK/words")"
done
remount "hard,timeo=600,secretfile=$CLUSTER/secret,loglevel=info,_netdev,nofail,x-systemd.automount,defaults,noatime"
shows noatime
remount "$(awk -v m="$M" '$2 == m {print $4}' /proc/self/mounts | tail -1),relatime"   # as mount(8) repeats what it sees
shows relatime
exec 7>"$M/t/writing"
if remount ro 2>"$WORK/words"; then fail "read-only under a file that is being written"; fi
grep -q writing "$WORK/words" || fail "not said why: $(<"$WORK/words")"
exec 7>&-
"$kfs" mount "$source" "$M" -o remount,ro
shows ro
if "$helper" "$source" "$WORK" -o remount,ro 2>"$WORK/words"; then fail "a directory without a mount is remounted"; fi
grep -q 'no KFS volume is mounted' "$WORK/words" || fail "not said: $(<"$WORK/words")"
[ "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "system.kfs.mount").decode())' "$M")" = "hard,timeo=600,secretfile=$CLUSTER/secret,tls=required,socketdir=/run/kfs,loglevel=info" ] ||
  fail "the mount does not say its options"
# kfs status says what is in force here, also after a remount.
address=${source%%:/*}
in_force() {
  timeout 20 "$kfs" status --metaserver "$address" --secret-file "$CLUSTER/secret" --json |
    python3 -c 'import json, sys; print([m["options"] for m in json.load(sys.stdin)["mounts_here"] if m["mountpoint"] == sys.argv[1]])' "$M"
}
[ "$(in_force)" = "['ro,relatime,hard,timeo=600,secretfile=$CLUSTER/secret,tls=required,socketdir=/run/kfs,loglevel=info']" ] || fail "kfs status: $(in_force)"
remount rw,noatime
[[ $(in_force) = "['rw,noatime,hard,"* ]] || fail "kfs status after a remount: $(in_force)"
"$kfs" status --metaserver "$address" --secret-file "$CLUSTER/secret" | grep -q "^$M .*rw,noatime" || fail "kfs status has no line of the mount"
umount "$M"

put_up dirsync; shows dirsync; mkdir "$M/t/made"; remount dirsync,noatime; shows dirsync; umount "$M"
pass
