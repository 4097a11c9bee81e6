#!/bin/bash
# Stands in for systemctl on a test's machine where systemd cannot be run: starts what the installed units' ExecStart says, and
# stops it. No sandbox, no restart, no dependencies.
action=$1 now=no property="" names=()
shift
for arg in "$@"; do
  case $arg in
    --now) now=yes ;;
    -P) property=next ;;
    -*) ;;
    *) if [ "$property" = next ]; then property=$arg; else names+=("${arg%.service}"); fi ;;
  esac
done

running() { kill -0 "$(cat "/run/$1.pid" 2>/dev/null)" 2>/dev/null; }
unit_file() { case $1 in *@*) echo "/lib/systemd/system/${1%%@*}@.service" ;; *) echo "/lib/systemd/system/$1.service" ;; esac; }
start() {
  local command
  running "$1" && return
  [ -e "$(unit_file "$1")" ] || { echo "Failed to start $1.service: Unit $1.service not found." >&2; exit 5; }
  command=$(sed -n 's/^ExecStart=//p' "$(unit_file "$1")")
  # shellcheck disable=SC2086
  setsid ${command//%i/${1#*@}} </dev/null >>"/var/log/$1.log" 2>&1 &
  echo $! >"/run/$1.pid"
}
stop() {
  running "$1" || return
  kill "$(cat "/run/$1.pid")"
  while running "$1"; do sleep 0.02; done
}
# Instances that run, for a pattern.
expand() {
  local file
  case $1 in *\**) for file in /run/$1.pid; do [ -e "$file" ] && basename "$file" .pid; done ;; *) echo "$1" ;; esac
}

enabled_link() { echo "/etc/systemd/system/multi-user.target.wants/$1.service"; }
show() {
  case $property in
    MainPID) if running "$1"; then cat "/run/$1.pid"; else echo 0; fi ;;
    NeedDaemonReload) if [ /run/daemon-reload -nt "$(unit_file "$1")" ]; then echo no; else echo yes; fi ;;
    *) echo "systemctl.sh: $property is not known here" >&2; exit 1 ;;
  esac
}

[ "$action" = daemon-reload ] && exec touch /run/daemon-reload
status=0
for pattern in "${names[@]}"; do
  for unit in $(expand "$pattern"); do
    case $action in
      show) show "$unit" ;;
      is-enabled) if [ -L "$(enabled_link "$unit")" ]; then echo enabled; else echo disabled; status=1; fi ;;
      start) start "$unit" ;;
      stop) stop "$unit" ;;
      restart) stop "$unit"; start "$unit" ;;
      try-restart) if running "$unit"; then stop "$unit"; start "$unit"; fi ;;
      is-active) if running "$unit"; then echo active; else echo inactive; exit 3; fi ;;
      enable | disable)
        link=$(enabled_link "$unit")
        if [ "$action" = enable ]; then ln -sf "$(unit_file "$unit")" "$link"; else rm -f "$link"; fi
        [ $now = no ] || if [ "$action" = enable ]; then start "$unit"; else stop "$unit"; fi ;;
      *) echo "systemctl.sh: $action is not known here" >&2; exit 1 ;;
    esac
  done
done
exit $status
