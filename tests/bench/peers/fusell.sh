#!/bin/bash
# libfuse's example passthrough_ll over a local directory: what FUSE itself costs.
#   fusell        cache=never: as fresh as KFS promises to be
#   fusell-cache  cache=always,writeback: the kernel caches all; one mount only could ever be served like this
. "$(dirname "$(readlink -f "$0")")/common.sh"
case $PEER in *-cache) options=cache=always,writeback ;; *) options=cache=never ;; esac
examples=/usr/share/doc/libfuse3-dev/examples
peer_mount() { background client "$BASE/passthrough_ll" -f -o "source=$BASE/data,$options,allow_other" "$MNT"; }
peer_up() {
  need gcc gcc
  need pkg-config pkg-config
  [ -e $examples/passthrough_ll.c ] || { say "$examples/passthrough_ll.c is not there (package libfuse3-dev)"; exit 77; }
  mkdir -p "$BASE/data"
  # shellcheck disable=SC2046
  gcc -O2 -w -I$examples $examples/passthrough_ll.c $(pkg-config fuse3 --cflags --libs) -o "$BASE/passthrough_ll" >&2 || return 1
  peer_mount
}
peer_down() { :; }
peer_version() { echo "libfuse $(pkg-config --modversion fuse3) passthrough_ll -o $options; durable as the local file system below"; }
main "$@"
