# shellcheck shell=bash
# Waiting, processes and mounts: what deploy's scripts share. To be sourced.

now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

# wait_for MS COMMAND...: polls until the command succeeds; fails after the time.
wait_for() {
  local deadline=$(($(now_ms) + $1)) pause=0.01
  shift
  until "$@"; do
    [ "$(now_ms)" -lt $deadline ] || return 1
    sleep $pause
    pause=0.05
  done
}

# Start time of a process, in clock ticks: with the pid it names one process for ever.
started_at() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra fields <<<"${stat##*) }"
  echo "${fields[19]}"
}

# live_pid_of FILE: the pid in FILE.pid if that process runs and began at the time in FILE.started; else fails.
live_pid_of() {
  local pid at
  pid=$(cat "$1.pid" 2>/dev/null) && at=$(cat "$1.started" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(started_at "$pid")" = "$at" ] || return 1
  # A zombie has ended; its parent is about to note how.
  [ "$(awk '/^State:/ {print $2}' "/proc/$pid/status" 2>/dev/null)" != Z ] || return 1
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
  local dir namespace seen
  seen=" $(readlink /proc/self/ns/mnt) "
  for dir in /proc/[0-9]*; do
    namespace=$(readlink "$dir/ns/mnt" 2>/dev/null) && [[ $seen != *" $namespace "* ]] || continue
    seen+="$namespace "
    if awk -v device="$1" '$3 == device { found = 1 } END { exit !found }' "$dir/mountinfo" 2>/dev/null; then
      echo "${dir#/proc/} ($(cat "$dir/comm" 2>/dev/null))"
    fi
  done
}
mounted_type() { local found; found=$(mount_of "$1") && echo "${found%% *}"; }
is_unmounted() { ! mount_of "$1" >/dev/null; }

has_ended_pid() { case $(awk '/^State:/ {print $2}' "/proc/$1/status" 2>/dev/null) in "" | Z) ;; *) return 1 ;; esac; }

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
