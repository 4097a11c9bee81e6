#!/bin/bash
# A backup of a volume's metadata, made while the volume is used, brings it back: after a mistake, and after its metaserver has lost
# its disk. A damaged or foreign file is refused before anything is touched.
# timeout: 120 long: 300
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need tar
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3
kfs_at 1 volume create data --owner "$(address_of 2)"
kfs_at 1 volume create other --owner "$(address_of 3)"
mount_through 3 data "$WORK/data"
mkdir "$WORK/data/tree"
for n in $(seq 200); do echo "content $n" >"$WORK/data/tree/file $n"; done
setfattr -n user.color -v blue "$WORK/data/tree" 2>/dev/null || :
head -c 3000000 /dev/urandom >"$WORK/data/tree/big"
ln -s "file 1" "$WORK/data/tree/link"
sync "$WORK/data/tree/file 1"
(cd "$WORK/data" && find . -printf '%p %y %s %m %U %l\n' | LC_ALL=C sort) >"$WORK/before"
cp -a "$WORK/data/tree" "$WORK/copy"

# While files are made all the time.
(i=0; while [ ! -e "$WORK/enough" ]; do echo $i >"$WORK/data/later-$i" || exit 1; i=$((i + 1)); done) & writer=$!
kfs_at 1 volume backup data "$WORK/backup.tar"
: >"$WORK/enough"
wait $writer || fail "a writer failed while a backup was made"
tar tf "$WORK/backup.tar" | grep -q kfs-backup.json || fail "the backup is no tar archive with a list"
refused "is there already" 1 volume backup data "$WORK/backup.tar"
kfs_at 1 volume backup data "$WORK/backup.tar" --force
refused "there is no volume" 1 volume backup nothing "$WORK/nothing.tar"
[ ! -e "$WORK/nothing.tar" ] && [ ! -e "$WORK/nothing.tar.part" ] || fail "a backup that failed leaves a file"

# A mistake.
rm -f "$WORK/data"/later-*
rm -rf "${WORK:?}/data/tree/file 1"* "$WORK/data/tree/link"
rm "$WORK/data/tree/big"
wait_until 20 chunk_bytes_below 3000000 || fail "the chunks of a removed file stay"
echo new >"$WORK/data/new"
refused "stop it first" 1 volume restore data "$WORK/backup.tar" --yes
kfs_at 1 volume stop data --yes >/dev/null
kfs_at 1 volume stop other --yes >/dev/null
# One that is stopped can be backed up, too, and stays so.
kfs_at 1 volume backup data "$WORK/stopped.tar"
[ "$(kfs_at 1 volume list --json | jq '.[] | select(.name == "data") | .started')" = false ] || fail "a backup has started the volume"
kfs_at 1 volume restore data "$WORK/stopped.tar" --yes >/dev/null
kfs_at 1 volume backup data "$WORK/stopped.tar" --force
kfs_at 1 volume start data
mount_through 1 data "$WORK/restored"
[ "$(<"$WORK/restored/new")" = new ] && [ ! -e "$WORK/restored/tree/link" ] || fail "a backup of a stopped volume is not what the volume was"
unmount "$WORK/restored"
kfs_at 1 volume stop data --yes >/dev/null
refused "is of volume data" 1 volume restore other "$WORK/backup.tar" --yes
head -c 3000 "$WORK/backup.tar" >"$WORK/short.tar"
refused "short.tar" 1 volume restore data "$WORK/short.tar" --yes
cp "$WORK/backup.tar" "$WORK/flipped.tar"
printf 'X' | dd of="$WORK/flipped.tar" bs=1 seek=$(($(stat -c %s "$WORK/backup.tar") / 3)) conv=notrunc status=none
cmp -s "$WORK/backup.tar" "$WORK/flipped.tar" || refused "flipped.tar" 1 volume restore data "$WORK/flipped.tar" --yes
echo "no archive" >"$WORK/text.tar"
refused "text.tar" 1 volume restore data "$WORK/text.tar" --yes
says "would change" 1 volume restore data "$WORK/backup.tar" --dry-run || fail "a dry run says something else"
says "begins anew with a backup" 1 volume restore data "$WORK/backup.tar" --yes || fail "restoring says something else: $(<"$WORK/said-by-kfs")"
kfs_at 1 volume start data
unmount "$WORK/data"

there() {  # all names, attributes and links are there; content where chunks have not been given up since
  mount_through 1 data "$WORK/restored"
  (cd "$WORK/restored" && find . -not -name 'later-*' -printf '%p %y %s %m %U %l\n' | LC_ALL=C sort) >"$WORK/after"
  diff "$WORK/before" "$WORK/after" || fail "the tree is not what it was $1"
  [ ! -e "$WORK/restored/new" ] || fail "what was made after the backup is there $1"
  for n in $(seq 20 99); do cmp "$WORK/copy/file $n" "$WORK/restored/tree/file $n" || fail "file $n is not what it was $1"; done
  for n in $(seq 30); do echo "newer $n" >"$WORK/restored/newer $n"; done
  for n in $(seq 30); do [ "$(cat "$WORK/restored/newer $n")" = "newer $n" ] || fail "what is made now cannot be read $1"; done
  rm -f "$WORK/restored/newer "*
  # What was removed since has its name again, and its chunks, which are kept for a day.
  timeout 20 cmp "$WORK/copy/big" "$WORK/restored/tree/big" || fail "a file that was removed since is not what it was $1"
  unmount "$WORK/restored"
}
there "after a mistake"

# Its metaserver's disk is lost.
kfs_at 1 volume backup data "$WORK/second.tar"
kill_role metaserver 2
rm -rf "$CLUSTER/metaserver-2"
start_role metaserver 2
repaired() { kfs_at 1 peer repair "$(address_of 2)" >"$WORK/repair" 2>&1; }
wait_until 20 repaired || fail "the metaserver cannot be mended: $(<"$WORK/repair")"
await_agreement 20 1 2 3
lost() { kfs_at 1 volume status data 2>&1 | grep -q "lost with its metaserver"; }
wait_until 10 lost || fail "the loss is not told: $(kfs_at 1 volume status data)"
kfs_at 1 volume stop data --yes >/dev/null
kfs_at 1 volume restore data "$WORK/second.tar" --yes >/dev/null
kfs_at 1 volume start data
there "after its metaserver's disk was lost"
pass
