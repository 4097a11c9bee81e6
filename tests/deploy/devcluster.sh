#!/usr/bin/env bash
# The contract of deploy/devcluster, which every other test relies on.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
one=$work/one two="$work/two with a blank"
cleanup() {
  "$devcluster" down --dir "$one" --purge >/dev/null 2>&1
  "$devcluster" down --dir "$two" --purge >/dev/null 2>&1
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

refused "no metaservers are refused" 2 'from 1 on' "$devcluster" up --dir "$one" --metaservers 0
refused "replicas are refused with words" 1 'one copy' "$devcluster" up --dir "$one" --replicas 2
refused "an unknown option is refused" 2 'neither mounts nor daemons' "$devcluster" up --dir "$one" --build "$build" --option nonsense=1
refused "a missing build is named" 1 'is missing; build it' "$devcluster" up --dir "$one" --build "$work/nothing"
refused "a command on no cluster says so" 1 'no cluster' "$devcluster" status --dir "$work/nowhere"
check "down of no cluster is no error" "$devcluster" down --dir "$work/nowhere"
rm -rf "$one"

check "up with three chunkservers and a mount" "$devcluster" up --dir "$one" --build "$build" --chunkservers 3 --mount "$work/m1" \
  --option session-ttl=5 --option log-level=debug
check "the mount can be written" bash -c "echo hello >'$work/m1/file' && [ \"\$(cat '$work/m1/file')\" = hello ]"
check "status: everything runs" "$devcluster" status --dir "$one"
refused "up on a running cluster says so" 1 'already up' "$devcluster" up --dir "$one" --build "$build"
check "options reach the daemons" grep -q 'session-ttl = "5"' "$one/conf/metaserver-1.toml"

check "a second cluster beside it, without a mount" "$devcluster" up --dir "$two" --build "$build" --volume other
check "a mount of the second, with an option" "$devcluster" mount --dir "$two" "$work/mount two" --option soft --option timeo=50
check "the second is another file system" bash -c "[ ! -e '$work/mount two/file' ]"

check "a second mount of the first" "$devcluster" mount --dir "$one" "$work/m2"
check "it shows the same files" test -s "$work/m2/file"
refused "a mount point in use is refused" 1 'already mounted' "$devcluster" mount --dir "$one" "$work/m2"

address=$(cat "$one/run/metaserver-1.address")
check "kill of the metaserver" "$devcluster" kill --dir "$one" metaserver 1
refused "status tells that it is not running" 1 'metaserver-1 +not running' "$devcluster" status --dir "$one"
refused "a second kill says so" 1 'is not running' "$devcluster" kill --dir "$one" metaserver 1
check "start of the metaserver" "$devcluster" start --dir "$one" metaserver 1
check "it has the same address" test "$address" = "$(cat "$one/run/metaserver-1.address")"
check "the mount goes on" test -s "$work/m1/file"

address=$(cat "$one/run/chunkserver-2.address")
check "TERM of a chunkserver" "$devcluster" kill --dir "$one" chunkserver 2 TERM
check "start of the chunkserver" "$devcluster" start --dir "$one" chunkserver 2
check "it has the same address too" test "$address" = "$(cat "$one/run/chunkserver-2.address")"
check "STOP and CONT" bash -c "'$devcluster' kill --dir '$one' chunkserver 1 STOP && '$devcluster' kill --dir '$one' chunkserver 1 CONT"
refused "a chunkserver that is not there" 1 'no chunkserver 9' "$devcluster" kill --dir "$one" chunkserver 9

check "kill of a mount" "$devcluster" kill --dir "$one" mount 2
check "start of the mount, at the same place" "$devcluster" start --dir "$one" mount 2
check "it works again" test -s "$work/m2/file"

# A container, a sandbox, systemd's PrivateTmp: a namespace that was made while the mount was there has it, too.
if unshare -m --propagation private true 2>/dev/null; then
  check "a third mount" "$devcluster" mount --dir "$one" "$work/m3"
  unshare -m --propagation private bash -c "echo >'$work/inside'; exec sleep 600" & elsewhere=$!
  check "it is in another namespace, too" wait_for 10000 test -e "$work/inside"
  begun=$SECONDS
  refused "down says who still has it" 0 "m3 is unmounted here, but still mounted .* process $elsewhere \\(sleep\\)" "$devcluster" down --dir "$one"
  check "and does not wait for it" test $((SECONDS - begun)) -lt 25
  kill $elsewhere
  check "up again" "$devcluster" up --dir "$one" --mount "$work/m1"
  check "the second mount again" "$devcluster" mount --dir "$one" "$work/m2"
else
  echo "SKIP a mount in another namespace: unshare -m fails here"
fi

check "down of the second leaves the first alone" bash -c "'$devcluster' down --dir '$two' && test -s '$work/m1/file'"
check "down: every daemon exits with 0" "$devcluster" down --dir "$one"
check "nothing is mounted any more" bash -c ". '$repo/deploy/lib/process.sh'; is_unmounted '$work/m1' && is_unmounted '$work/m2'"
check "up again finds the data" "$devcluster" up --dir "$one" --mount "$work/m1"
check "they are there" test "$(<"$work/m1/file")" = hello
"$devcluster" kill --dir "$one" chunkserver 3 ABRT >/dev/null 2>&1
check "down after a kill that was asked for is clean" "$devcluster" down --dir "$one" --purge
check "purge leaves nothing" test ! -e "$one"
finish
