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

# Type of the file system mounted on a point (the uppermost); fails where none is. /proc writes blanks in octal.
mounted_type() {
  local point fields want=$1 type=""
  while read -r _ _ _ _ point fields; do
    printf -v point '%b' "${point//\\/\\0}"
    if [ "$point" = "$want" ]; then type=${fields##* - }; type=${type%% *}; fi
  done </proc/self/mountinfo
  [ -n "$type" ] && echo "$type"
}
is_unmounted() { ! mounted_type "$1" >/dev/null; }
