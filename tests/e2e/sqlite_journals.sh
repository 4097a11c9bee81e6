#!/bin/bash
# sqlite3 in rollback-journal and in WAL mode: transactions of two processes at once, then integrity_check.
. "$(dirname "$0")/lib.sh"
need sqlite3
start_cluster --chunkservers 3
rows=$(long && echo 2000 || echo 150)
transactions() {  # transactions WRITER
  local i
  echo '.timeout 60000'
  for i in $(seq "$rows"); do echo "BEGIN IMMEDIATE; INSERT INTO t VALUES('$1', $i, hex(randomblob(500))); COMMIT;"; done
}
for mode in delete truncate persist wal; do
  db=$MNT/$mode.db
  [ "$(sqlite3 "$db" "PRAGMA journal_mode=$mode; CREATE TABLE t(writer TEXT, n INTEGER, data TEXT); CREATE INDEX i ON t(data);")" = $mode ] ||
    fail "journal mode $mode refused"
  transactions a | sqlite3 -bail "$db" & first=$!
  transactions b | sqlite3 -bail "$db" & second=$!
  wait $first || fail "$mode: the first writer failed"
  wait $second || fail "$mode: the second writer failed"
  [ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || fail "$mode: integrity_check"
  [ "$(sqlite3 "$db" 'SELECT count(*), count(DISTINCT writer || n) FROM t')" = "$((2 * rows))|$((2 * rows))" ] || fail "$mode: rows lost"
  sqlite3 "$db" 'DELETE FROM t WHERE n % 2; VACUUM;'
  [ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || fail "$mode: integrity_check after VACUUM"
done
pass
