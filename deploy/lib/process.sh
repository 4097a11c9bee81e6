# shellcheck shell=bash
# Waiting, processes and mounts: what deploy's scripts share. To be sourced.

# What is asked for again and again, while waiting, starts no process: several clusters beside each other wait at a time.

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# nap SECONDS: sleeps. Where naps=DIRECTORY names a place for a FIFO that nobody writes to, without a process.
nap() {
  if [ -n "${naps:-}" ] && { [ -p "$naps/nap" ] || mkfifo -m 600 "$naps/nap" 2>/dev/null || [ -p "$naps/nap" ]; }; then
    read -rt "$1" <>"$naps/nap" || :
  else
    sleep "$1"
  fi
}

# wait_for MS COMMAND...: polls until the command succeeds; fails after the time.
wait_for() {
  local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000)) pause=0.01
  shift
  until "$@"; do
    [ "${EPOCHREALTIME/[.,]/}" -lt $deadline ] || return 1
    nap $pause
    pause=0.05
  done
}

# process_stat PID: sets process_state (a letter; E: threads of it are ending) and process_started, in clock ticks: with the pid it names
# one process for ever.
# Fails where there is none.
process_state="" process_started=""
process_stat() {
  local stat="" fields
  { read -rd '' stat <"/proc/$1/stat"; } 2>/dev/null || [ -n "$stat" ] || return 1  # all lines: a name may have several
  read -ra fields <<<"${stat##*) }"
  process_state=${fields[0]} process_started=${fields[19]}
  # A process whose first thread has ended is a zombie, too, while others hold its files still: it has not ended yet.
  if [ "$process_state" = Z ] && [ "${fields[17]}" -gt 1 ]; then process_state=E; fi
}

# live_pid_of FILE: prints the pid in FILE.pid if that process runs and began at the time in FILE.started; else fails.
live_pid_of() {
  local pid="" at=""
  { read -r pid <"$1.pid" && read -r at <"$1.started"; } 2>/dev/null || return 1
  process_stat "$pid" && [ "$process_started" = "$at" ] || return 1
  # A zombie has ended; its parent is about to note how.
  [ "$process_state" != Z ] || return 1
  echo "$pid"
}

# "TYPE SOURCE" of what is mounted on a point (the uppermost); fails where nothing is. Never touches the mount itself, which may
# be waiting for its servers. /proc writes blanks in octal.
mount_of() {
  local point fields want=$1 found=""
  while read -r _ _ _ _ point fields; do
    printf -v point '%b' "${point//\\/\\0}"
    if [ "$point" = "$want" ]; then found=${fields##* - }; fi
  done </proc/self/mountinfo
  [ -n "$found" ] || return 1
  read -r point fields _ <<<"$found"
  printf '%s %b\n' "$point" "${fields//\\/\\0}"
}
# The device number (MAJOR:MINOR) of what is mounted on a point: its name in every mount namespace.
device_of_mount() {
  local device point want=$1 found=""
  while read -r _ _ device _ point _; do
    printf -v point '%b' "${point//\\/\\0}"
    if [ "$point" = "$want" ]; then found=$device; fi
  done </proc/self/mountinfo
  [ -n "$found" ] && echo "$found"
}
# mounted_elsewhere MAJOR:MINOR: for each other mount namespace that has this file system, "PID (NAME)" of a process in it, one a line.
# (One that no process is in, kept by a bind mount or a descriptor, is not found.)
mounted_elsewhere() {
  local namespace dir own
  own=$(readlink /proc/self/ns/mnt)
  find /proc/[0-9]*/ns/mnt -maxdepth 0 -printf '%l %h\n' 2>/dev/null | sort -u -k1,1 | while read -r namespace dir; do
    [ "$namespace" != "$own" ] || continue
    dir=${dir%/ns}
    if awk -v device="$1" '$3 == device { found = 1 } END { exit !found }' "$dir/mountinfo" 2>/dev/null; then
      echo "${dir#/proc/} ($(cat "$dir/comm" 2>/dev/null))"
    fi
  done || true
}
mounted_type() { local found; found=$(mount_of "$1") && echo "${found%% *}"; }
is_unmounted() { ! mount_of "$1" >/dev/null; }

has_ended_pid() { ! process_stat "$1" || [ "$process_state" = Z ]; }

# bounded SECONDS COMMAND...: its exit code, or 124 after the time. Unlike timeout(1) it does not wait for a command that not even
# SIGKILL ends, as is one that waits for a mount whose process is stopped; nor may that hold the caller's output, so it has none.
bounded() {
  local seconds=$1 pid
  shift
  "$@" >/dev/null 2>&1 &
  pid=$!
  if wait_for $((seconds * 1000)) has_ended_pid $pid; then
    wait $pid
    return
  fi
  disown $pid
  kill -KILL $pid 2>/dev/null || true
  return 124
}

# open_below DIR [fd cwd exe]: "PID (NAME)" of who has a file below it open (or works there, or runs a program of it), one a line.
# Reads only the links in /proc: fuser(1) looks at each file, which may be on a mount that waits.
open_below() {
  local pid where=()
  local dir=$1
  shift
  [ $# -gt 0 ] || set -- fd
  for pid in /proc/[0-9]*; do where+=("${@/#/$pid/}"); done
  find "${where[@]}" -type l -printf '%p %l\n' 2>/dev/null |
    KFS_DIR=$dir awk '{ at = $1; sub(/^[^ ]* /, ""); sub(/ \(deleted\)$/, "")
      if ($0 == ENVIRON["KFS_DIR"] || index($0, ENVIRON["KFS_DIR"] "/") == 1) { split(at, part, "/"); print part[3] } }' |
    sort -nu | while read -r pid; do echo "$pid ($(cat "/proc/$pid/comm" 2>/dev/null))"; done
}
