#!/bin/bash
# A store into a mapped page beside a pwrite to other bytes of that page. On a local file system both are there afterwards; here the
# pwrite can be lost (docs/fuse.md, "Coherence until leases"). Expected to fail, until files are kept in the page cache under leases;
# in a local directory (KFS_E2E_DIR) it must not. A store is never lost.
. "$(dirname "$0")/lib.sh"
need cc
start_cluster --chunkservers 1
cc -O1 -pthread -o "$WORK/mapped_page" "$REPO/tests/e2e/mapped_page.c"
lost=0 rounds=$(long && echo 30 || echo 5)
for round in $(seq "$rounds"); do
  said=$("$WORK/mapped_page" "$MNT/mapped-$round") && continue
  case $said in
    *" and 0 stores lost") lost=$((lost + 1)) ;;
    *) fail "round $round: $said" ;;
  esac
done
[ -z "${KFS_E2E_DIR:-}" ] || [ $lost = 0 ] || fail "pwrites were lost in $lost of $rounds runs on a local file system"
if [ $lost != 0 ]; then
  say "EXPECTED FAILURE: pwrites beside stores into a mapped page were lost in $lost of $rounds runs"
else
  say "EXPECTED TO FAIL, but nothing was lost in $rounds runs"
fi
pass
