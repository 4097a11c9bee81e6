#!/bin/bash
# A tree of thousands of files comes out of tar as it went in.
. "$(dirname "$0")/lib.sh"
start_cluster --chunkservers 3
make_tree "$WORK/tree" "$(long && echo 10000 || echo 2000)"
tar --format=posix -C "$WORK" -cf "$WORK/tree.tar" tree
tar -C "$MNT" -xpf "$WORK/tree.tar"
same_tree "$WORK/tree" "$MNT/tree"
second_mount
same_tree "$WORK/tree" "$MNT2/tree"
pass
