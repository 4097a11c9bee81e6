#!/bin/bash
# timeout: 600 long: 3600
# long only: it builds the first version
# A cluster of the first version 0.1.0, which knows no TLS, goes over while it is mounted and written to: each daemon is upgraded with
# tls = accept, the mount is made anew, accept is taken away, the root secret is changed and the old one ended, as
# docs/security.md says step by step and 'kfs health' shows. No call fails, no byte is lost.
#   KFS_OLD_BUILD   a build of that version; else it is built from the repository's history, in ~/.cache/kfs-first-version
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
. "$(dirname "$0")/secret_common.sh"
need_root
first_version=9b809609ad697271aecc89d00b575625b74d0912    # the last commit before links were encrypted

old_build() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/kfs-first-version
  OLD=${KFS_OLD_BUILD:-$cache/build}
  [ -z "${KFS_OLD_BUILD:-}" ] || return 0
  git -C "$REPO" cat-file -e "$first_version^{commit}" 2>/dev/null || skip "the history with $first_version is not here; KFS_OLD_BUILD names a build of it"
  need cmake ninja
  mkdir -p "$cache/src"
  [ -e "$cache/src/CMakeLists.txt" ] || git -C "$REPO" archive "$first_version" | tar -x -C "$cache/src"
  { cmake --preset release -S "$cache/src" -B "$OLD" -DKFS_TESTS=OFF -DKFS_WERROR=OFF -DCMAKE_UNITY_BUILD=ON -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g0" &&
    ninja -C "$OLD" kfs mount.kfs kfs-metaserver kfs-chunkserver; } >"$WORK/build.log" 2>&1 || { tail -20 "$WORK/build.log"; fail "the first version cannot be built"; }
}
old_build
old_source=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$OLD/CMakeCache.txt")
new_build=$KFS_BUILD new_devcluster=$DEVCLUSTER

# ---- the first version, with data, programs at work on it

KFS_BUILD=$OLD DEVCLUSTER=$old_source/deploy/devcluster
start_cluster --metaservers 3 --chunkservers 3
KFS_BUILD=$new_build DEVCLUSTER=$new_devcluster
sed -i "s|^build=.*|build=$new_build|" "$CLUSTER/conf/cluster"
chmod -R go-rwx "$CLUSTER"/secret
mkdir -p "$MNT/tree" "$MNT/w1" "$MNT/w2"
make_tree() { local i; for i in $(seq 40); do mkdir -p "$1/d$((i % 5))"; head -c $((i * i * 700)) /dev/urandom >"$1/d$((i % 5))/f$i"; ln "$1/d$((i % 5))/f$i" "$1/link$i"; done; ln -s d1 "$1/symlink"; }
make_tree "$WORK/tree"
cp -a "$WORK/tree/." "$MNT/tree/"
sync -f "$MNT/tree"
python3 "$(dirname "$0")/open_file.py" "$MNT/open" "$WORK/open.rounds" 2>"$WORK/open.err" &
OPEN=$!
open_goes_on() { [ "$(cat "$WORK/open.rounds" 2>/dev/null || echo 0)" -gt "$1" ]; }
start_writer old "$MNT/w1"
at_work() {  # at_work WHO WHERE: both go on
  await_progress "$1" 60
  [ -z "$OPEN" ] || { dead "$OPEN" && { cat "$WORK/open.err"; fail "$2: the program with the open file has ended"; }; wait_until 60 open_goes_on $(($(cat "$WORK/open.rounds" 2>/dev/null || echo 0) + 2)) || fail "$2: the open file is not written any more"; }
  say "$2: at work"
}
end_open_file() { kill "$OPEN"; wait "$OPEN" || { cat "$WORK/open.err"; fail "the program with the open file failed"; }; rm "$WORK/open.rounds"; OPEN=; }
at_work old "the first version"

# ---- each daemon is upgraded, with tls = accept

export KFS_TLS=accept
for n in 1 2 3; do
  option metaserver $n tls accept
  option metaserver $n socket-dir ""
  echo 'socket-dir = ""' >>"$CLUSTER/conf/metaserver-$n.toml"
  again metaserver $n
  await_catching_up 60 1 2 3
  at_work old "metaserver $n is upgraded"
done
for n in 1 2 3; do
  option chunkserver $n tls accept
  echo 'socket-dir = ""' >>"$CLUSTER/conf/chunkserver-$n.toml"
  again chunkserver $n
  at_work old "chunkserver $n is upgraded"
done
await_found links.plain "mount .*$MNT"
say "health: $(health links.plain)"

# ---- the mount is made anew

NEW=$WORK/new
mount_through 1 dev "$NEW" socketdir=,tls=required
at_work old "a mount of the new version is there"
cmp "$NEW/tree/link7" "$WORK/tree/link7" || fail "the new mount reads something else"
start_writer new "$NEW/w2"
stop_writer old "$MNT/w1"
end_open_file
"$DEVCLUSTER" kill --dir "$CLUSTER" mount 1 TERM || fail "the old mount does not end"
mount_is_gone() { ! mounted "$MNT"; }
wait_until 30 mount_is_gone || fail "the old mount stays"
python3 "$(dirname "$0")/open_file.py" "$NEW/open2" "$WORK/open.rounds" 2>"$WORK/open.err" &
OPEN=$!
at_work new "the mount is of the new version"
await_not_found links.plain
await_found links.accept 'metaservers .*chunkservers '
say "health: $(health links.accept)"

# ---- accept is taken away

unset KFS_TLS
for n in 1 2 3; do option chunkserver $n tls ""; again chunkserver $n; at_work new "chunkserver $n requires TLS"; done
for n in 1 2 3; do option metaserver $n tls ""; again metaserver $n; await_catching_up 60 1 2 3; at_work new "metaserver $n requires TLS"; done
for alarm in links.plain links.accept links.off; do await_not_found $alarm; done
await_found secret.shared 'mount '
say "health: $(health secret.shared)"

# ---- the root secret is changed

make_next_secret
for n in 1 2 3; do
  metaserver_goes_over $n
  at_work new "metaserver $n has the new root secret"
done
await_catching_up 60 1 2 3
await_found secret.old 'chunkservers .*mount .*kfs chunkserver invite'
say "health: $(health secret.old)"
for n in 1 2 3; do
  chunkserver_goes_over $n
  at_work new "chunkserver $n has a key of its own"
done
await_found secret.old 'used by mount .*mount them anew'
say "health: $(health secret.old)"
KEYED=$WORK/keyed
kfs_at 1 key create everything --volume dev -o "$WORK/everything.key" >"$WORK/said" || fail "no key is made"
mkdir "$KEYED"
"$KFS" mount -f "$(address_of 1):/dev" "$KEYED" -o "secretfile=$WORK/everything.key,socketdir=" >"$CLUSTER/log/keyed.log" 2>&1 7>&- &
wait_until 20 mounted "$KEYED" && wait_until 20 usable "$KEYED" || { cat "$CLUSTER/log/keyed.log"; fail "it cannot be mounted with a key"; }
at_work new "a mount has a key of its own"
stop_writer new "$NEW/w2"
end_open_file
unmount "$NEW"
await_found secret.old 'nobody uses it'
mkdir "$KEYED/w3"
start_writer keyed "$KEYED/w3"
for n in 1 2 3; do forget_old_secret $n; await_catching_up 60 1 2 3; await_progress keyed 60; done
await_not_found secret.old
stop_writer keyed "$KEYED/w3"

# ---- all that the first version was given is there

same_tree "$WORK/tree" "$KEYED/tree"
echo 3 >/proc/sys/vm/drop_caches
diff -r --no-dereference "$WORK/tree" "$KEYED/tree" || fail "data is not what the first version was given"
kfs_at 1 health || fail "health finds something"
unmount "$KEYED"
pass
