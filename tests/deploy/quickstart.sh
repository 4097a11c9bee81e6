#!/usr/bin/env bash
# deploy/quickstart with every path and port relocated, so that it can run beside a real one.
if [ "$(id -u)" = 0 ] && [ -z "${KFS_OWN_MOUNTS:-}" ]; then
  if ! reason=$(unshare --mount true 2>&1); then
    echo "SKIP: mounts of its own cannot be made here: $reason"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
  fi
  KFS_OWN_MOUNTS=1 exec unshare --mount bash "$0" "$@"
fi
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if [ "$(id -u)" != 0 ]; then
  rm -rf "$work"
  echo "SKIP: needs root"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
# A quickstart that fails these tests may delete what is in its default directories: here those are empty.
for dir in /etc/kfs /etc/systemd/system /var/lib/kfs /var/log /run; do [ ! -d $dir ] || mount -t tmpfs none $dir || exit 1; done
mount_point="$work/mnt"
own_address() { echo "127.$((RANDOM % 100 + 100)).$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1))"; }
args=(--build "$build" --prefix "$work/prefix" --data "$work/data" --etc "$work/etc" --run "$work/run" --log "$work/log"
  --no-systemd --host "$(own_address)" --port 7400)
# Also after a failed check: nothing here may wait for a mount.
cleanup() {
  pgrep -f "^$work/" | xargs -r kill -KILL
  wait_for 10000 nothing_left
  awk -v below="$work/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | xargs -r -n 1 umount -c -l
  rm -rf --one-file-system "$work"
}
nothing_left() { ! pgrep -f "^$work/" >/dev/null; }
trap cleanup EXIT

# other NAME [OPTION...]: the options of a further cluster, in $other.
other() {
  other=(--build "$build" --prefix "$work/prefix" --data "$work/$1/data" --etc "$work/$1/etc" --run "$work/$1/run"
    --log "$work/$1/log" "${@:2}" --host "$(own_address)")
}
# bounded_run COMMAND...: what hangs fails. Its output goes where a process that it leaves behind does not hold it.
bounded_run() {
  local status=0
  timeout -k 1 "${patience:-90}" "$@" >"$work/output" 2>&1 || status=$?
  cat "$work/output"
  return $status
}
kill_daemons() {
  local pid
  for pid in "$1"/{metaserver,chunkserver-1,chunkserver-2,chunkserver-3}.pid; do kill -KILL "$(cat "$pid")"; done
}
has() { [ "$(timeout -s KILL 20 cat "$1")" = "$2" ]; }
# Everything below these, to be compared.
listing() { (cd "$work" && find "$@" -type f -print0 | sort -z | xargs -0 sha256sum); }

refused "without a mount point it says what to do" 2 'where shall it be mounted' "$quickstart" "${args[@]}"
check "from nothing to a mount" "$quickstart" "$mount_point" "${args[@]}"
check "it is mounted" mounted_type "$mount_point"
check "three chunkservers" bash -c "'$work/prefix/bin/kfs' status --json --metaserver '${args[-3]}:7400' --secret-file '$work/etc/secret' | jq -e '[.chunkservers[] | select(.up)] | length == 3'"
check "the secret is its owner's" test "$(stat -c %a "$work/etc/secret")" = 600
check "which do not have it" bash -c "! grep -l '\"$work/etc/secret\"' '$work'/etc/chunkserver-*.toml && ls '$work'/data/chunkserver-{1,2,3}/kfs-disk.key"
check "nor does the mount" bash -c "tr '\\0' '\\n' </proc/\$(cat '$work/run/mount.pid')/cmdline | grep -q 'secretfile=$work/etc/mount.key'"
check "the keys are their owner's" bash -c "[ \"\$(stat -c %a '$work'/etc/*.key | sort -u)\" = 600 ]"
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

# The mount outlives its daemons and waits for them: whoever touches it waits as well.
kill_daemons "$work/run"
check "the daemons died, the mount waits: up again" bounded_run "$quickstart" "$mount_point" "${args[@]}"
check "it is the same mount, and answers" has "$mount_point/file" kept
kill_daemons "$work/run"
check "the same: --down" bounded_run "$quickstart" --down "${args[@]}"
check "nothing is mounted then" is_unmounted "$mount_point"
refused "nothing runs then" 1 '' pgrep -f "^$work/"
check "up after that" bounded_run "$quickstart" "$mount_point" "${args[@]}"
check "with its data once more" has "$mount_point/file" kept
tail -f "$mount_point/file" >"$work/tail" 2>&1 &
holder=$!
wait_for 10000 test -s "$work/tail"
refused "a mount in use stays" 1 "is busy.*[( ]$holder \(tail" bounded_run "$quickstart" --down "${args[@]}"
check "and works" has "$mount_point/file" kept
kill_daemons "$work/run"
check "in use, but without daemons: --down ends it" bounded_run "$quickstart" --down "${args[@]}"
check "it is gone" is_unmounted "$mount_point"
kill $holder 2>/dev/null  # it may have ended with the mount
check "up, after its process was ended" bounded_run "$quickstart" "$mount_point" "${args[@]}"
kill -STOP "$(<"$work/run/mount.pid")"
check "a mount that answers nothing is made anew" bounded_run env KFS_QUICKSTART_TIMEOUT=10 \
  "$quickstart" "$mount_point" "${args[@]}"
check "with its data, too" has "$mount_point/file" kept

# Two clusters, and options that name half of each.
other b --no-systemd
check "a second cluster" bounded_run "$quickstart" "$work/b/mnt" "${other[@]}"
echo second >"$work/b/mnt/file"
refused "--down of the second with the first one's data is refused" 1 "cluster in $work/b/etc has $work/b/data.*Nothing was changed" \
  bounded_run "$quickstart" --down --etc "$work/b/etc" --data "$work/data"
refused "so is --purge with its run directory" 1 "has $work/b/run" bounded_run "$quickstart" --purge --etc "$work/b/etc" --run "$work/run"
refused "and its mount point" 1 "is set up for $work/b/mnt" bounded_run "$quickstart" --purge --etc "$work/b/etc" "$mount_point"
refused "and up" 1 "has $work/b/log" bounded_run "$quickstart" "$work/b/mnt" --etc "$work/b/etc" --log "$work/log"
cp -a "$work/b/etc" "$work/copy"
refused "a copy of the configuration is not another cluster" 1 "cluster in $work/b/etc" bounded_run "$quickstart" --purge --etc "$work/copy"
check "the second is as it was" has "$work/b/mnt/file" second
check "--down with no more than --etc" bounded_run "$quickstart" --down --etc "$work/b/etc"
check "stops the second" is_unmounted "$work/b/mnt"
refused "all of it" 1 '' pgrep -f "$work/b/"
check "and not the first" has "$mount_point/file" kept
before=$(listing etc)
other c --no-systemd
refused "the first one's run directory is not shared" 1 "metaserver.pid is that of another cluster" \
  bounded_run "$quickstart" "$work/c/mnt" "${other[@]}" --run "$work/run"
refused "--purge of what came of that" 0 'are deleted' bounded_run "$quickstart" --purge --etc "$work/c/etc"
check "up with no more than --etc and the build" bounded_run "$quickstart" "$work/b/mnt" --etc "$work/b/etc" --build "$build"
check "it has its data" has "$work/b/mnt/file" second
check "--purge with no more than --etc" bounded_run "$quickstart" --purge --etc "$work/b/etc"
check "deletes the second" test ! -e "$work/b/data" -a ! -e "$work/b/etc" -a ! -e "$work/b/run" -a ! -e "$work/b/log"
check "not the first" has "$mount_point/file" kept
check "nor its configuration" test "$before" = "$(listing etc)"

# What others have made.
other d --no-systemd
mkdir -p "$work"/d/{etc,log,run,data/private}
(umask 077 && openssl rand -hex 32 | tr -d '\n' >"$work/d/etc/secret")
"$build/bin/kfs-chunkserver" --sample-config >"$work/d/etc/chunkserver-9.toml"
for file in log/syslog log/metaserver.log run/other.pid run/mount.pid data/private/file etc/notes; do echo "$file" >"$work/d/$file"; done
before=$(listing d/{etc,run,data} d/log/syslog)
check "up in directories that others use" bounded_run "$quickstart" "$work/d/mnt" "${other[@]}" --run "$work/d/run/kfs"
check "--purge there" bounded_run "$quickstart" --purge --etc "$work/d/etc"
check "leaves all that was there" test "$before" = "$(listing d/{etc,run,data} d/log/syslog)"
check "a log that was there has its first line" grep -qx log/metaserver.log "$work/d/log/metaserver.log"
check "and nothing else" test "$(cd "$work/d" && find etc run data log -mindepth 1 -maxdepth 1 | sort | paste -sd ' ')" = \
  "data/private etc/chunkserver-9.toml etc/notes etc/secret log/metaserver.log log/syslog run/mount.pid run/other.pid"
other e --no-systemd
mkdir -p "$work/e/run"
echo 1 >"$work/e/run/metaserver.pid"
refused "a pid file of somebody else's is not overwritten" 1 'metaserver.pid is not quickstart' \
  bounded_run "$quickstart" "$work/e/mnt" "${other[@]}"
refused "and stays" 0 '^1$' bash -c "'$quickstart' --purge --etc '$work/e/etc' >/dev/null 2>&1; cat '$work/e/run/metaserver.pid'"

# A cluster that quickstart has not set up.
other f --no-systemd
mkdir -p "$work"/f/{etc,log,run,data/metaserver}
cp -p "$work/d/etc/secret" "$work/f/etc/secret"
printf 'listen = "%s:7400"\ndata-dir = "%s"\nsecret-file = "%s"\n' "${other[-1]}" "$work/f/data/metaserver" "$work/f/etc/secret" \
  >"$work/f/etc/metaserver.toml"
production() { "$work/prefix/bin/kfs" "$@" --metaserver "${other[-1]}:7400" --secret-file "$work/f/etc/secret" 2>&1; }
"$work/prefix/bin/kfs-metaserver" --config "$work/f/etc/metaserver.toml" </dev/null >"$work/f/log/metaserver.log" 2>&1 &
made_by_hand=$!
check "a cluster that was made by hand" wait_for 20000 production volume create production
refused "--purge says that it is not its own" 1 'has set up nothing.*nothing is deleted' bounded_run "$quickstart" --purge "${other[@]}"
refused "--down, too" 0 'nothing is set up' bounded_run "$quickstart" --down "${other[@]}"
check "it serves" production volume info production
check "its files are there" test -s "$work/f/etc/secret" -a -s "$work/f/etc/metaserver.toml" -a -n "$(listing f/data/metaserver)"
refused "quickstart does not run a second daemon on its data" 1 "is used by $made_by_hand \(kfs-metaserver\)" \
  bounded_run "$quickstart" "$work/f/mnt" "${other[@]}"
refused "--purge after that deletes nothing that is in use" 1 "still used by $made_by_hand \(kfs-metaserver\).*nothing is deleted" \
  bounded_run "$quickstart" --purge "${other[@]}"
check "it serves still" production volume info production
kill $made_by_hand && wait $made_by_hand
before=$(listing f/data/metaserver f/etc/secret f/etc/metaserver.toml)
check "--purge when nothing is in use" bounded_run "$quickstart" --purge "${other[@]}"
check "leaves what was made by hand" test "$before" = "$(listing f/data/metaserver f/etc/secret f/etc/metaserver.toml)"

# By systemd, for which a script stands: units have the same names in every cluster.
if [ -d /etc/systemd/system ]; then
  mkdir -p /run/systemd/system "$work/stub"
  cat >"$work/stub/systemctl" <<'EOF'
#!/bin/bash
echo "$*" >>/run/systemctl.log
unit=${!#} file=/etc/systemd/system/${!#}
case $unit in *@*) number=${unit##*@} number=${number%.service} file=${file%@*}@.service ;; esac
setting() { sed -n "s/^$1=//p" "$file"; }
is_active() { grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$(cat "/run/$unit.pid" 2>/dev/null)/status"; }
case $1 in
  enable)
    case $unit in *.mount) exec "$KFS_PREFIX/sbin/mount.kfs" "$(setting What)" "$(setting Where)" -o "$(setting Options)" ;; esac
    ! is_active || exit 0
    command=$(setting ExecStart)
    setsid ${command//%i/$number} </dev/null >"/run/$unit.log" 2>&1 &
    echo $! >"/run/$unit.pid" ;;
  disable)
    case $unit in *.mount) exec umount "$(setting Where)" ;; esac
    ! is_active || kill "$(cat "/run/$unit.pid")"
    while is_active; do sleep 0.02; done ;;
  is-active) is_active ;;
esac
EOF
  printf '#!/bin/sh\necho quickstart-test.mount\n' >"$work/stub/systemd-escape"
  chmod +x "$work"/stub/*
  by_systemd() { bounded_run env PATH="$work/stub:$PATH" KFS_PREFIX="$work/prefix" "$quickstart" "$@"; }
  other g
  unit=/etc/systemd/system/kfs-metaserver.service
  echo "# another's" >$unit
  refused "another cluster's unit is not overwritten" 1 'kfs-metaserver.service is not quickstart' by_systemd "$work/g/mnt" "${other[@]}"
  check "--purge after that" by_systemd --purge --etc "$work/g/etc"
  check "leaves the unit" grep -q "another's" $unit
  refused "and does not stop it" 1 '' grep disable /run/systemctl.log
  rm $unit
  check "up by systemd" by_systemd "$work/g/mnt" "${other[@]}"
  echo by-systemd >"$work/g/mnt/file"
  refused "--no-systemd on that cluster is refused" 1 'is run by systemd' by_systemd --down --etc "$work/g/etc" --no-systemd
  pid=$(cat /run/kfs-metaserver.service.pid)
  kill -KILL "$pid" && wait_for 10000 has_ended_pid "$pid"
  check "its metaserver died, the mount waits: up again" by_systemd "$work/g/mnt" "${other[@]}"
  check "the mount answers" has "$work/g/mnt/file" by-systemd
  check "--purge by systemd" by_systemd --purge --etc "$work/g/etc"
  check "removes the units" test -z "$(ls /etc/systemd/system)"
  check "and all else" test ! -e "$work/g/etc" -a ! -e "$work/g/data"
  refused "and stops what ran" 1 '' pgrep -f "$work/g/"
fi

# A daemon that quickstart started, but whose pid file is lost.
mkdir "$work/lost"
mv "$work"/run/chunkserver-2.* "$work/lost"
refused "--purge deletes nothing while a daemon runs on" 1 "still used by $(<"$work/lost/chunkserver-2.pid") \(kfs-chunkserver\)" \
  bounded_run "$quickstart" --purge "${args[@]}"
check "all data is there" test -n "$(listing data/metaserver)" -a -n "$(listing data/chunkserver-1)" -a -s "$work/etc/secret"
mv "$work"/lost/* "$work/run"
check "up after that" bounded_run "$quickstart" "$mount_point" "${args[@]}"
check "with all data" has "$mount_point/file" kept
kill_daemons "$work/run"
check "--purge, the daemons dead and the mount waiting" bounded_run "$quickstart" --purge "${args[@]}"
check "data and secret are gone" test ! -e "$work/data" -a ! -e "$work/etc" -a ! -e "$work/run" -a ! -e "$work/log"
check "the mount as well" is_unmounted "$mount_point"
refused "no process is left" 1 '' pgrep -f "^$work/"
refused "a second --purge has nothing to delete" 1 'has set up nothing' bounded_run "$quickstart" --purge "${args[@]}"
finish
