#!/bin/bash
# sqlite3 in rollback-journal mode, one writer on each of two mounts. (WAL needs shared memory: one mount only.)
. "$(dirname "$0")/lib.sh"
need sqlite3
start_cluster --chunkservers 3
second_mount
rows=$(long && echo 1000 || echo 100)
transactions() {
  local i
  echo '.timeout 60000'
  for i in $(seq "$rows"); do echo "BEGIN IMMEDIATE; INSERT INTO t VALUES('$1', $i); UPDATE sum SET n = n + 1; COMMIT;"; done
}
sqlite3 "$MNT/db" 'CREATE TABLE t(writer TEXT, n INTEGER); CREATE TABLE sum(n INTEGER); INSERT INTO sum VALUES(0);'
transactions a | sqlite3 -bail "$MNT/db" & first=$!
transactions b | sqlite3 -bail "$MNT2/db" & second=$!
wait $first || fail "the writer on the first mount failed"
wait $second || fail "the writer on the second mount failed"
for mount in "$MNT" "$MNT2"; do
  [ "$(sqlite3 "$mount/db" 'PRAGMA integrity_check')" = ok ] || fail "integrity_check"
  [ "$(sqlite3 "$mount/db" 'SELECT n FROM sum')" = $((2 * rows)) ] || fail "transactions lost"
done
pass
