#!/bin/bash
# find, du, chmod -R and chown -R see and change every file.
. "$(dirname "$0")/lib.sh"
need_root
start_cluster --chunkservers 3
make_tree "$MNT/tree" "$(long && echo 5000 || echo 600)"
files=$(find "$MNT/tree" -type f -printf x | wc -c)
[ "$files" -ge 600 ]
[ "$(du -s --inodes "$MNT/tree" | cut -f1)" -gt $((files - 10)) ]
[ "$(du -sb "$MNT/tree" | cut -f1)" -gt 1000000 ]
chmod -R u=rwX,g=rX,o= "$MNT/tree"
[ -z "$(find "$MNT/tree" -type f ! -perm 640 ! -perm 750)" ]
[ -z "$(find "$MNT/tree" -type d ! -perm 750)" ]
chown -R 1234:5678 "$MNT/tree"
[ -z "$(find "$MNT/tree" ! -user 1234 -o ! -group 5678)" ]
chgrp -R 0 "$MNT/tree"
[ -z "$(find "$MNT/tree" ! -group 0)" ]
find "$MNT/tree" -name '*9.c' -delete
[ -z "$(find "$MNT/tree" -name '*9.c')" ]
[ "$(find "$MNT/tree" -newermt '2002-01-01' -name file5.c | wc -l)" = 0 ]
pass
