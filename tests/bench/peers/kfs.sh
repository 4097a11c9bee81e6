#!/bin/bash
# KFS: one metaserver, one chunkserver, one copy of each chunk.
. "$(dirname "$(readlink -f "$0")")/common.sh"
REPO=$(cd "$(dirname "$(readlink -f "$0")")/../../.." && pwd)
DEVCLUSTER=$REPO/deploy/devcluster
peer_up() {
  [ -x "$DEVCLUSTER" ] || { say "$DEVCLUSTER is missing"; exit 77; }
  [ -x "${KFS_BUILD:-$REPO/build/release}/bin/kfs" ] || { say "KFS is not built in ${KFS_BUILD:-$REPO/build/release}"; exit 77; }
  "$DEVCLUSTER" up --dir "$BASE/cluster" --build "${KFS_BUILD:-$REPO/build/release}" --chunkservers 1 --replicas 1 --mount "$MNT" >&2
}
unmount() { mounted || return 0; wait_for 30 umount "$MNT"; wait_for 30 test -e "$BASE/cluster/run/mount-1.exit"; }
peer_mount() { "$DEVCLUSTER" start --dir "$BASE/cluster" mount 1 >&2; }
peer_down() { [ ! -d "$BASE/cluster" ] || "$DEVCLUSTER" down --dir "$BASE/cluster" >&2; }
peer_version() {
  echo "KFS $(git -C "$REPO" rev-parse --short HEAD 2>/dev/null || echo '(no commit)'); names survive kill -9 at once and loss of power after 1 s or fsync; fsync reaches the disk; close returns when the chunkserver has the data"
}
main "$@"
