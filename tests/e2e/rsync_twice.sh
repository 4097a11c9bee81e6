#!/bin/bash
# rsync -a copies a tree; the second time it finds nothing to do.
. "$(dirname "$0")/lib.sh"
need rsync
start_cluster --chunkservers 3
make_tree "$WORK/tree" "$(long && echo 5000 || echo 800)"
rsync -aH "$WORK/tree/" "$MNT/copy/"
rsync -aHi "$WORK/tree/" "$MNT/copy/" >"$WORK/second"
[ ! -s "$WORK/second" ] || { head "$WORK/second"; fail "the second rsync found something to do"; }
rsync -aHic "$WORK/tree/" "$MNT/copy/" >"$WORK/third"   # by checksum
[ ! -s "$WORK/third" ] || { head "$WORK/third"; fail "checksums differ"; }
same_tree "$WORK/tree" "$MNT/copy"
pass
