#!/usr/bin/env bash
# deploy/quickstart with every path and port relocated, so that it can run beside a real one.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if [ "$(id -u)" != 0 ]; then
  rm -rf "$work"
  echo "SKIP: needs root"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
mount_point="$work/mnt"
args=(--build "$build" --prefix "$work/prefix" --data "$work/data" --etc "$work/etc" --run "$work/run" --log "$work/log"
  --no-systemd --host "127.$((RANDOM % 100 + 100)).$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1))" --port 7400)
cleanup() {
  "$quickstart" --purge "${args[@]}" >/dev/null 2>&1
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

refused "without a mount point it says what to do" 2 'where shall it be mounted' "$quickstart" "${args[@]}"
check "from nothing to a mount" "$quickstart" "$mount_point" "${args[@]}"
check "it is mounted" mounted_type "$mount_point"
check "three chunkservers" bash -c "'$work/prefix/bin/kfs' status --json --metaserver '${args[-3]}:7400' --secret-file '$work/etc/secret' | jq -e '[.chunkservers[] | select(.up)] | length == 3'"
check "the secret is its owner's" test "$(stat -c %a "$work/etc/secret")" = 600
check "a file" bash -c "echo kept >'$mount_point/file'"
pids=$(cat "$work"/run/{metaserver,chunkserver-1}.pid)
refused "a second run finds it running" 0 'KFS is mounted' "$quickstart" "$mount_point" "${args[@]}"
check "and starts nothing anew" test "$pids" = "$(cat "$work"/run/{metaserver,chunkserver-1}.pid)"
check "--down" "$quickstart" --down "${args[@]}"
check "nothing is mounted" is_unmounted "$mount_point"
check "the data stays" test -d "$work/data/metaserver"
refused "no daemon is left" 1 '' pgrep -f "$work/prefix/bin/kfs"
check "up again" "$quickstart" "$mount_point" "${args[@]}"
check "with its data" test "$(cat "$mount_point/file")" = kept
cat "$work"/run/*.pid | xargs kill -KILL
check "after kill -9 of everything, up again" "$quickstart" "$mount_point" "${args[@]}"
check "with its data still" test "$(cat "$mount_point/file")" = kept
check "--purge" "$quickstart" --purge "${args[@]}"
check "data and secret are gone" test ! -e "$work/data" -a ! -e "$work/etc"
finish
