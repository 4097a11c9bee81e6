#!/bin/bash
# The local file system below $PEERS_DIR, without anything in between.
. "$(dirname "$(readlink -f "$0")")/common.sh"
mounted() { [ -d "$MNT" ]; }
unmount() { :; }
peer_up() { :; }
peer_mount() { :; }
peer_down() { :; }
peer_version() { echo "$(stat -f -c %T "${PEERS_DIR}") of Linux $(uname -r); names durable when its journal commits (5 s) or at fsync"; }
main "$@"
