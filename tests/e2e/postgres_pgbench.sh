#!/bin/bash
# PostgreSQL: initdb, pgbench, a crash of the server (SIGQUIT), recovery, checksums. Unix socket only.
# timeout: 180 long: 1800
. "$(dirname "$0")/lib.sh"
need_root
need setpriv
bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [ -z "$bin" ] || [ ! -x "$bin/initdb" ] || [ ! -x "$bin/pgbench" ]; then skip "PostgreSQL is not installed"; fi
id postgres >/dev/null 2>&1 || skip "there is no user postgres"
start_cluster --chunkservers 3
data=$MNT/pgdata socket=$WORK/socket log=$WORK/postgres.log
mkdir "$data" "$socket"
chmod 755 "$WORK"
touch "$log"
chown postgres "$data" "$socket" "$log"
as() { (cd / && setpriv --reuid postgres --regid postgres --init-groups env PGHOST="$socket" PGPORT=5432 "$@"); }
start() { as "$bin/pg_ctl" -D "$data" -w -t 60 -l "$log" -o "-k $socket -c listen_addresses= -p 5432" start >/dev/null || { cat "$log"; fail "start"; }; }
stop() { as "$bin/pg_ctl" -D "$data" -w -t 60 -m "$1" stop >/dev/null; }
on_exit() { as "$bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1; }
as "$bin/initdb" -D "$data" -A trust --data-checksums >"$WORK/initdb.log" 2>&1 || { cat "$WORK/initdb.log"; fail "initdb"; }
start
as "$bin/createdb" bench
as "$bin/pgbench" -q -i -s "$(long && echo 10 || echo 1)" bench 2>"$WORK/init.log"
as "$bin/pgbench" -c 4 -j 2 -t "$(long && echo 5000 || echo 200)" bench >"$WORK/bench.log" 2>&1 || { cat "$WORK/bench.log"; fail "pgbench"; }
grep '^tps' "$WORK/bench.log"
sums='SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), (SELECT count(*) FROM pgbench_history)'
before=$(as "$bin/psql" -At -c "$sums" bench)
stop immediate   # no checkpoint: the next start recovers from the log
start
[ "$(as "$bin/psql" -At -c "$sums" bench)" = "$before" ] || fail "committed transactions are gone after recovery"
case $before in t*) ;; *) fail "balances and history differ" ;; esac
stop fast
as "$bin/pg_checksums" --check -D "$data" >/dev/null
pass
