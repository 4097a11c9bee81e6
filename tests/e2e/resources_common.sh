# shellcheck shell=bash
# Sourced by the tests that watch the daemons' memory and descriptors; not a test itself.

daemons() {  # names of the running daemons: ROLE-N
  local file
  [ -z "${KFS_E2E_DIR:-}" ] || return 0
  for file in "$CLUSTER"/run/*.pid; do basename "$file" .pid; done
}
resident_kib() { awk '/^VmRSS/ {print $2}' "/proc/$(<"$CLUSTER/run/$1.pid")/status"; }
descriptors() { find "/proc/$(<"$CLUSTER/run/$1.pid")/fd" -mindepth 1 | wc -l; }
note_descriptors() { local d; for d in $(daemons); do descriptors "$d" >"$WORK/fds-$d"; done; }
# Connections and the store's own files come and go; a leak grows with the number of files, which is thousands.
descriptors_settled() { [ "$(descriptors "$1")" -le $(($(<"$WORK/fds-$1") + 300)) ]; }
no_descriptor_leak() {
  local d
  for d in $(daemons); do
    wait_until 20 descriptors_settled "$d" || fail "$d: $(descriptors "$d") descriptors, $(<"$WORK/fds-$d") before"
  done
}
memory_below() {  # memory_below MIB WHEN: prints each daemon's memory and checks it
  local d kib
  for d in $(daemons); do
    kib=$(resident_kib "$d")
    say "memory $2: $d $((kib / 1024)) MiB, $(descriptors "$d") descriptors"
    [ "$kib" -le $(($1 * 1024)) ] || fail "$d takes $((kib / 1024)) MiB $2, more than $1"
  done
}
